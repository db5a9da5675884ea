"""The studio: a page in the browser to paint together on, and the HTTP interface behind it."""
