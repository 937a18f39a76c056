"""The runtime over HTTP: one ASGI app beside a company's services, or mounted in one of them.

Needs the extra ``reconciler[server]``.
"""
