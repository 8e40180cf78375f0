"""A page of ours, read as a browser reads it: tags, attributes, text."""

from html.parser import HTMLParser

from flows.report.html import VOID_TAGS


class Page(HTMLParser):
    """Every tag with its attributes, the text, and a proof that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]
