"""The shipped demo day: three shops on the evening of 11 November."""
