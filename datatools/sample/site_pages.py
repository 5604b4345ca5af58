"""Ordinary web pages around a text: what a crawl of a small site looks like.

Owns: the frame (head, navigation, sidebar, footer), the page of an article and the pages without
any content of their own. Korean and English pages have one structure and their own words.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Final

from datatools.sample.content import Article
from datatools.sample.prose import prose_html

__all__ = ["article_page", "article_url", "boilerplate_page", "error_page", "frame"]

SITE: Final = "https://www.sample.example"

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "name": "Sample Almanac",
        "nav": "Home|Articles|Questions|About|Contact",
        "by": "Published on {date} in {category}",
        "more": "Read next",
        "footer": "Terms of use|Privacy|Imprint",
        "rights": "All texts written for this sample.",
        "cookie": "This site uses cookies. Accept all or change settings.",
        "missing": "Page not found",
        "missing_text": "The page you asked for does not exist any more.",
    },
    "ko": {
        "name": "견본 읽을거리",
        "nav": "처음|글|질문|소개|문의",
        "by": "{date} 게시, {category}",
        "more": "이어서 읽기",
        "footer": "이용약관|개인정보처리방침|만든 사람들",
        "rights": "이 견본을 위해 쓴 글입니다.",
        "cookie": "이 사이트는 쿠키를 사용합니다. 모두 허용하거나 설정을 바꾸세요.",
        "missing": "페이지를 찾을 수 없습니다",
        "missing_text": "찾으시는 페이지가 더는 없습니다.",
    },
    "de": {
        "name": "Musterblätter",
        "nav": "Start|Artikel|Fragen|Über uns|Kontakt",
        "by": "Veröffentlicht am {date}",
        "more": "Weiterlesen",
        "footer": "Nutzungsbedingungen|Datenschutz|Impressum",
        "rights": "Jeder Text wurde für dieses Muster geschrieben.",
        "cookie": "Diese Seite verwendet Cookies.",
    },
    "fr": {
        "name": "Pages modèles",
        "nav": "Accueil|Articles|Questions|À propos|Contact",
        "by": "Publié le {date}",
        "more": "À lire ensuite",
        "footer": "Conditions|Confidentialité|Mentions légales",
        "rights": "Tous les textes ont été écrits pour ce modèle.",
        "cookie": "Ce site utilise des cookies.",
    },
    "ja": {
        "name": "見本の読み物",
        "nav": "ホーム|記事|質問|このサイトについて|お問い合わせ",
        "by": "{date} 公開",
        "more": "次に読む",
        "footer": "利用規約|プライバシー|運営者",
        "rights": "すべてこの見本のために書かれた文章です。",
        "cookie": "このサイトはクッキーを使用します。",
    },
}


def article_url(article: Article, host: str = SITE) -> str:
    """Return the address of an article, e.g. `https://www.sample.example/en/articles/tides`.

    Example:
        >>> article_url(Article(id="ko-moss", language="ko", title="", text=""))
        'https://www.sample.example/ko/articles/moss'
    """
    language, _, slug = article.id.partition("-")
    return f"{host}/{language}/articles/{slug}"


def article_page(
    article: Article, url: str, others: Sequence[Article], *, charset: str = "utf-8"
) -> str:
    """Return the page of an article as a string.

    Args:
        article: The title becomes the heading, the text the body of `<article>`.
        url: The address, repeated as the canonical link.
        others: Articles that the sidebar links to.
        charset: What the page claims about its encoding, true or not.
    """
    words = _WORDS[article.language]
    date = article.date or "2024-03-01"
    byline = words["by"].format(date=date, category=article.category)
    main = (
        f"<article>\n<h1>{html.escape(article.title, quote=False)}</h1>\n"
        f'<p class="byline">{byline}</p>\n{prose_html(article.text)}\n</article>'
    )
    links = "".join(
        f'<li><a href="{article_url(other)}">{html.escape(other.title, quote=False)}</a></li>'
        for other in others
    )
    sidebar = f"<h2>{words['more']}</h2>\n<ul>{links}</ul>" if links else ""
    return frame(article.language, article.title, url, main, sidebar, charset=charset)


def boilerplate_page(text: Article, url: str) -> str:
    """Return a page of nothing but buttons, form fields and links: one per line of the text."""
    lines = text.text.split("\n")
    main = f"<h1>{text.title}</h1>\n" + "\n".join(
        f'<div class="control"><a href="#">{html.escape(line)}</a></div>' for line in lines
    )
    return frame(text.language, text.title, url, main, "")


def error_page(language: str, url: str) -> str:
    """Return the page that a server sends with status 404, in `en` or `ko`."""
    words = _WORDS[language]
    main = f"<h1>{words['missing']}</h1>\n<p>{words['missing_text']}</p>"
    return frame(language, words["missing"], url, main, "")


def frame(
    language: str,
    title: str,
    url: str,
    main: str,
    sidebar: str,
    *,
    charset: str = "utf-8",
    head: str = "",
) -> str:
    """Return a whole page: `main` and `sidebar` are HTML, `head` goes into `<head>` as it is."""
    words = _WORDS[language]
    nav = "".join(
        f'<li><a href="{SITE}/{language}/{number}">{word}</a></li>'
        for number, word in enumerate(words["nav"].split("|"))
    )
    footer = " | ".join(f'<a href="#">{word}</a>' for word in words["footer"].split("|"))
    return f"""<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="{charset}">
<title>{html.escape(title, quote=False)} - {words["name"]}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="canonical" href="{url}">
<style>body {{ margin: 0 auto; max-width: 60rem }} aside {{ float: right; width: 16rem }}</style>
{head}</head>
<body>
<div class="cookie-banner" role="dialog">{words["cookie"]}</div>
<header><a class="logo" href="{SITE}/{language}">{words["name"]}</a>
<nav><ul>{nav}</ul></nav></header>
<main>
{main}
</main>
<aside class="sidebar">
{sidebar}
</aside>
<footer><p>{footer}</p>
<p>{words["rights"]}</p></footer>
<script>document.documentElement.className += " js";</script>
</body>
</html>
"""
