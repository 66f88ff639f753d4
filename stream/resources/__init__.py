"""What commands need at run time from an installed wheel."""
