"""HTTP around a `Service`: routes, OpenAPI, the documentation page."""
