"""What is measured on a point, a path or a bundle of gradients."""
