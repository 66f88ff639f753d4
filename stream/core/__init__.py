"""The pure core: no I/O, no clock, no logging, no async; time enters as an argument."""
