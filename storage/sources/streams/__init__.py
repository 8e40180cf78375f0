"""Sources of more records than are kept: a uniform sample of them, and facts about all of them."""
