"""The images modality: small pictures of one size, with or without classes."""
