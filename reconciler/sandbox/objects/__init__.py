"""One file per object family: template, routes, filters, unique keys, rules; ``families.py`` lists them."""
