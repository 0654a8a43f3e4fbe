"""Feeds, sitemaps and the pages that they list, made for tests."""

from __future__ import annotations

BODY = "The harbour board voted on Tuesday to close pier {n}, after divers found cracks. " * 6
SITEMAP = (
    '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    ' xmlns:news="http://www.google.com/schemas/sitemap-news/0.9">{}</urlset>'
)


def html(number: int, head: str = "") -> str:
    return (
        f"<html><head><title>Pier {number} closes</title>{head}</head><body><article>"
        f"<h1>Pier {number} closes</h1><p>{BODY.format(n=number)}</p></article></body></html>"
    )


def item(url: str, title: str = "A", more: str = "") -> str:
    return f"<item><title>{title}</title><link>{url}</link>{more}</item>"


def rss(*items: str) -> str:
    head = "<title>The Harbour Post</title><language>en-gb</language>"
    return (
        f"<?xml version='1.0'?><rss version='2.0'><channel>{head}{''.join(items)}</channel></rss>"
    )
