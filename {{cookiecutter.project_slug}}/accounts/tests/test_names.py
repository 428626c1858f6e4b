"""Which names people may have, and which look alike."""

import pytest

from accounts.names import look_of, problem_with


@pytest.mark.parametrize(
    "name",
    [
        *("anna", "Anna.B-2@x_+", "José", "Straße", "анна", "Ελένη", "小明", "小明Bob", "たろう田中", "김민수", "ราชา"),
        *("ﬁnn", "Ａｎｎａ", "ひらカタ漢字"),
    ],
)
def test_names_in_any_alphabet_of_everyday_use_are_welcome(name):
    assert problem_with(name) is None


@pytest.mark.parametrize("name", ["аnna", "annа", "Ανna", "小明ан", "김たろう", "аα"])
def test_letters_of_two_alphabets_are_refused(name):
    assert problem_with(name).startswith("The letters of a name are of one alphabet; these are ")


@pytest.mark.parametrize("name", ["ᎪᏁᏁᎪ", "ꓮꓠꓠꓮ", "𐐀𐐀", "ⲁⲛⲛⲁ", "☃", "\u200banna", "an\u202ena", "\ue000"])
def test_other_signs_are_refused(name):
    assert problem_with(name) == "A name has letters of a script that is in everyday use, digits and @ . + - _"


@pytest.mark.parametrize("name", ["\u3164", "anna\u3164", "\uffa0", "\u115f", "anna\u1160"])
def test_letters_that_cannot_be_seen_are_refused(name):
    assert problem_with(name) == "A name has letters that can be seen."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("anna", "ANNA"), ("anna", "Ａｎｎａ"), ("Straße", "STRASSE"), ("ﬁnn", "finn"), ("Σας", "ΣΑΣ")),
        *(("paypal", "paypaI"), ("bill", "bi11"), ("oleg", "0leg"), ("modern", "modem"), ("vvv", "wv")),
        *(("coco", "сосо"), ("Aho", "Ано"), ("ApoC", "АроС"), ("kate", "κατε"), ("anna", "ᴀɴɴᴀ"), ("口", "ロ")),
        *(("ANNA", "ΑΝΝΑ"), ("HEY", "ΗΕΥ"), ("Tony", "ΤΟΝΥ"), ("YAXA", "ҮАХА")),
        *(("ö", "ӧ"), ("Ë", "Ё"), ("Ï", "Ї"), ("ó", "ό"), ("べ", "ベ")),
    ],
)
def test_names_that_can_be_taken_for_each_other_look_the_same(one, other):
    assert look_of(one) == look_of(other)


@pytest.mark.parametrize(("one", "other"), [("anna", "ana"), ("José", "Jose"), ("van", "nan"), ("анна", "anna")])
def test_other_names_do_not(one, other):
    assert look_of(one) != look_of(other)
