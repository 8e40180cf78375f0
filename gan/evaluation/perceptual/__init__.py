"""Evaluation by feature nets: what images, and whatever else is looked at, are judged by."""
