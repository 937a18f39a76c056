"""The JSON API: one table of operations drives the routes, the validation and the OpenAPI document."""
