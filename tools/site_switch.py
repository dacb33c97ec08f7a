"""Sphinx's part of the site in two languages: the switch on each page, `lang` attributes, and a search for Chinese.

An extension of docs/conf.py. The English pages lie in the site's root, the Chinese ones in zh-CN/ below it.
"""

from __future__ import annotations

import re
from typing import Any

import snowballstemmer
from sphinx.search import SearchLanguage
from sphinx.search.en import SearchEnglish

CHINESE = "zh-CN"
BOTH = ("index", "search", "genindex")  # what Sphinx itself makes is there in each language
OUR_ENGLISH = re.compile(r'<div class="(?=cell_(?:in|out)put)')  # code and stored outputs are the English edition's

ENGLISH_TERM = re.compile(r"<dt (?=[^>]*>[^<\u4e00-\u9fff]+<)")  # of the Chinese glossary


class ChineseSearch(SearchLanguage):
    """Chinese without a dictionary: each pair of neighbouring characters is a word, and so is each alone."""

    lang = "zh"
    language_name = "English"  # of the stemmer, for the Latin words among them
    js_stemmer_rawcode = "english-stemmer.js"
    stopwords = SearchEnglish.stopwords
    js_splitter_code = """
var splitQuery = (query) => (query.match(/[\\u4e00-\\u9fff]+|[\\p{Letter}\\p{Number}_]+/gu) || []).flatMap((run) =>
  /^[\\u4e00-\\u9fff]{2}/.test(run) ? [...run].slice(1).map((second, i) => run[i] + second) : [run]);
"""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.stemmer = snowballstemmer.stemmer("english")

    def split(self, input: str) -> list[str]:
        """The words of a text."""
        found = []
        for run in re.findall(r"[\u4e00-\u9fff]+|[^\W\u4e00-\u9fff]+", input):
            found += [run[i : i + 2] for i in range(len(run) - 1)] if re.match("[\u4e00-\u9fff]", run) else [run]
            found += run if re.match("[\u4e00-\u9fff]{2}", run) else []
        return found

    def stem(self, word: str) -> str:
        """An English word's stem; Chinese as it is."""
        return self.stemmer.stemWord(word.lower())


def switch(app: Any, pagename: str, templatename: str, context: dict, doctree: Any) -> None:
    """What the template of the switch needs, and the language of what stands in English on a Chinese page."""
    here = CHINESE if app.config.language == "zh_CN" else "en"
    there = pagename in (*BOTH, *app.config.pages_of_the_other)
    up = "../" * (pagename.count("/") + (here == CHINESE))
    other = "en" if here == CHINESE else CHINESE
    context["switch"] = {
        "lang": other,
        "there": there,
        "to": f"{up}{'' if here == CHINESE else CHINESE + '/'}{pagename if there else 'index'}.html",
    }
    body = context.get("body")
    if here == CHINESE and body:
        if pagename in app.config.english_pages:
            context["body"] = f'<div lang="en">{body}</div>'
        context["body"] = ENGLISH_TERM.sub('<dt lang="en" ', OUR_ENGLISH.sub('<div lang="en" class="', context["body"]))
    context["language"] = here


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.add_config_value("pages_of_the_other", [], "html")
    app.add_config_value("english_pages", [], "html")
    app.add_search_language(ChineseSearch)
    app.connect("html-page-context", switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
