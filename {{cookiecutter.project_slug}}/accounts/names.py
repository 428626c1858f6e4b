"""
Which names people may have, and which names look alike.

Nobody should be taken for somebody else. Unicode has many letters that are drawn the same way, so two rules are needed:

- The letters of a name are of one script (``problem_with``), so that no Latin name has a Cyrillic letter in it.
- Names of different scripts, or with letters such as I and l, have a ``look``: no two users have the same one.

The tables are short, because the first rule leaves out all scripts but those in everyday use, as Unicode's UAX 31 lists
them, and puts together those that the "highly restrictive" level of UTS 39 does.
"""

import unicodedata

from django.utils.text import get_text_list
from django.utils.translation import gettext as _

LONGEST = 30

# The first word of the names that Unicode gives to the letters of a script.
SCRIPTS = {
    *("ARABIC", "ARMENIAN", "BENGALI", "BOPOMOFO", "CJK", "CYRILLIC", "DEVANAGARI", "ETHIOPIC", "GEORGIAN", "GREEK"),
    *("GUJARATI", "GURMUKHI", "HANGUL", "HEBREW", "HIRAGANA", "KANNADA", "KATAKANA", "KHMER", "LAO", "LATIN"),
    *("MALAYALAM", "MYANMAR", "ORIYA", "SINHALA", "TAMIL", "TELUGU", "THAANA", "THAI", "TIBETAN"),
}
# Those that are written together, in Chinese, Japanese and Korean.
TOGETHER = (
    {"LATIN", "CJK", "BOPOMOFO"},
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "HANGUL"},
)
# Letters, as Unicode sees it, that leave nothing but a gap.
INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0")

# What is drawn like a letter, as a small one or as a capital. Names are compared in small letters; so i, l and 1 are
# one, since the capital I is drawn like l. Where both are drawn like different letters, the capital counts, which no
# font tells apart: ν is drawn like v, but its capital like N.
ALIKE = {
    **{"a": "ɑᴀаα", "b": "ʙвьβ", "c": "ᴄс", "d": "ᴅԁ", "e": "ᴇеε", "g": "ɡɢց", "h": "ʜнһհη", "j": "ᴊјյϳ"},
    **{"k": "ᴋкκ", "l": "1iıɩǀʟɪіӏι", "m": "ᴍмμ", "n": "ɴոν", "o": "0ᴏоοօ", "p": "ᴘрρ", "q": "ԛզ", "r": "ʀг"},
    **{"s": "ꜱѕ", "t": "ᴛтτ", "u": "ᴜս", "v": "ᴠѵ", "w": "ᴡԝ", "x": "хχ", "y": "ʏуүγυ", "z": "ᴢζ", "3": "зӡ"},
    **{"口": "ロ", "工": "エ", "二": "ニ", "力": "カ", "夕": "タ", "卜": "ト", "八": "ハ", "へ": "ヘ", "一": "ー"},
}
ONE_FOR_ALL = {ord(other): letter for letter, others in ALIKE.items() for other in others}
# Two letters that are drawn like one.
LIGATURES = (("rn", "m"), ("vv", "w"))


def problem_with(name):
    """Return a sentence that says why nobody may have this name, or None."""
    name = unicodedata.normalize("NFKC", name)  # as it is stored
    if INVISIBLE.intersection(name):
        return _("A name has letters that can be seen.")
    scripts = {script_of(character) for character in name if character.isalpha() or not character.isascii()}
    if not scripts <= SCRIPTS:
        return _("A name has letters of a script that is in everyday use, digits and @ . + - _")
    if len(scripts) > 1 and not any(scripts <= together for together in TOGETHER):
        found = get_text_list(sorted(script.capitalize() for script in scripts), _("and"))
        return _("The letters of a name are of one alphabet; these are %(scripts)s.") % {"scripts": found}
    return None


def script_of(character):
    return unicodedata.name(character, "UNKNOWN").replace("-", " ").split()[0]


def look_of(name):
    """Return what names have in common that can be taken for each other."""
    name = unicodedata.normalize("NFKC", name).casefold()
    # Letters and their accents apart: the table is about letters, whatever stands above them.
    name = unicodedata.normalize("NFKD", name).translate(ONE_FOR_ALL)
    for letters, letter in LIGATURES:
        name = name.replace(letters, letter)
    return unicodedata.normalize("NFC", name)
