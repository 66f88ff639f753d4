"""The commands of ``yanshao``, one file each; imported when called."""
