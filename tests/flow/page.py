"""A page of HTML, read as a browser reads it, and held against the few things that a report may be made of."""
from html.parser import HTMLParser

EMPTY = {"meta", "rect"}
MAY = {"html": {"lang"}, "meta": {"charset", "name", "content", "http-equiv"}, "p": {"class"}, "strong": {"class"}, "span": {"class"},
       "table": {"role"}, "thead": {"role"}, "tbody": {"role"}, "tr": {"role"}, "th": {"scope", "role", "data-head"},
       "td": {"role", "data-head"}, "figcaption": {"id"}, "desc": {"id"}, "svg": {"role", "aria-labelledby", "width", "height"},
       "text": {"class", "x", "y"}, "rect": {"class", "y", "width", "height"}, "div": {"class"}}
ALSO = {"head", "title", "style", "body", "header", "main", "section", "h1", "h2", "ul", "li", "dl", "dt", "dd", "caption", "figure"}


class Page(HTMLParser):
    """Fails on what is not closed, and on each element and attribute that a report does not have."""

    def __init__(self, text):
        super().__init__()
        self.open, self.shape, self.texts, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [] and self.shape[0] == "<!DOCTYPE html>" and len(set(self.ids)) == len(self.ids)

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert tag in MAY or tag in ALSO, tag
        assert set(names) <= MAY.get(tag, set()) and len(set(names)) == len(names), (tag, attrs)
        self.shape.append((tag, tuple(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag
            self.shape.append("/" + tag)

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data))

    def handle_decl(self, decl):
        self.shape.append(f"<!{decl}>")

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    unknown_decl = handle_pi = handle_comment

    def of(self, tag):
        return [text for of, text in self.texts if of == tag]
