"""One file a page: reads the URL, calls one loader, draws."""
