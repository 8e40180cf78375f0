"""Sources of images: folders of files, and Parquet with encoded images."""
