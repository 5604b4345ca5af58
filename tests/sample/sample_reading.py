"""Reading the sample back with other people's tools; nothing here comes from datatools."""

import lxml.html
from warcio.archiveiterator import ArchiveIterator


def responses(path):
    """Return {url: (http status, content type, body)} of a file that is complete."""
    found = {}
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, check_digests="raise"):
            if record.rec_type == "response":
                http = record.http_headers
                body = record.content_stream().read()
                url = record.rec_headers.get_header("WARC-Target-URI")
                found[url] = (int(http.get_statuscode()), http.get_header("Content-Type"), body)
    return found


def article_words(html):
    """Return the words of a page's title and text, without its byline."""
    article = lxml.html.fromstring(html).find(".//article")
    parts = [article.find("h1"), *article.xpath("p[not(@class)]")]
    return [word for part in parts for word in part.text_content().split()]


def jaccard(one, other, n=5):
    """Return the Jaccard similarity of two word lists in n-word shingles."""
    a = {" ".join(one[i : i + n]) for i in range(len(one) - n + 1)}
    b = {" ".join(other[i : i + n]) for i in range(len(other) - n + 1)}
    return len(a & b) / len(a | b)


def microdata(html):
    """Return the top-level microdata items of a page as nested dictionaries."""
    root = lxml.html.fromstring(html)

    def value(node):
        if "itemscope" in node.attrib:
            return item(node)
        return node.get("content") or node.get("datetime") or node.text_content().strip()

    def item(node):
        found = {"type": node.get("itemtype")}
        stack = list(reversed(node))
        while stack:
            child = stack.pop()
            if "itemprop" in child.attrib:
                found.setdefault(child.get("itemprop"), []).append(value(child))
            if "itemscope" not in child.attrib:
                stack.extend(reversed(child))
        return found

    return [item(node) for node in root.xpath("//*[@itemscope and not(@itemprop)]")]
