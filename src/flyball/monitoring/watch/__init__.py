"""Looking at the data of an application each time a window of time ends."""
