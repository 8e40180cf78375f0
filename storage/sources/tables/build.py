"""Tables made ready: read, checked, split by row content, and mapped again."""
