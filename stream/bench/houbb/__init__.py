"""The Java side of the matcher's bench: compiled by it, with the machine's own JDK."""
