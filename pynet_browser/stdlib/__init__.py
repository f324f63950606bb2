"""What the C layer cannot carry, one file for each standard module that is patched."""
