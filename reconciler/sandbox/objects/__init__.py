"""One file per object family: its template, routes, filters, unique keys and rules; :mod:`reconciler.sandbox.families` lists them."""
