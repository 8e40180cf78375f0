"""Training: one loop for every modality and objective, and what it carries and watches."""
