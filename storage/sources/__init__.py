"""Where real records come from: images and tables, in files or examples, local or on S3."""
