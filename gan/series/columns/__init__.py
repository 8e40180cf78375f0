"""How the moments and the variables of series become numbers and codes."""
