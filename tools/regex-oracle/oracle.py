"""Random patterns and texts with google-re2's answers; README.md describes the output."""

import argparse
import random
import sys

import re2

# Two-, three- and four-byte characters, cased ones with more than two forms, and what lies beside boundaries.
LETTERS = list("aabbcxyzABCkKsS019_") + ["/", "-", " ", "\n", "\t", ".", "é", "É", "ß", "ſ", "K", "Ω", "ω", "Ω", "я", "Я",
                                         "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff", "€", "漢", "😀", "İ", "ı"]
META = set("\\.+*?()|[]{}^$")
# Fragments that are no UTF-8, alone or together.
BROKEN = [b"\xff", b"\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0"]
# No p{C}, p{L} and the like of unassigned characters: only characters that every version of Unicode agrees on are in LETTERS.
PERL = ["\\d", "\\D", "\\s", "\\S", "\\w", "\\W"]
UNICODE = ["\\pL", "\\PL", "\\p{Lu}", "\\P{Ll}", "\\p{^Nd}", "\\pN", "\\p{Sc}", "\\p{Any}",
           "\\p{Greek}", "\\p{Cyrillic}", "\\P{Latin}", "\\p{^Greek}", "\\p{Han}"]
POSIX = ["alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
         "xdigit"]
ESCAPES = {"\n": "\\n", "\t": "\\t", "a": "\\x61", "b": "\\x{62}", "c": "\\143", "€": "\\x{20ac}", " ": "\\040"}


class Generator:
    """Makes patterns, each with a function that makes texts it is likely to match."""

    def __init__(self, rng):
        self.rng = rng
        self.names = 0

    def literal(self):
        letter = self.rng.choice(LETTERS)
        text = letter
        if letter in META:
            text = "\\" + letter
        elif self.rng.random() < 0.1:
            text = ESCAPES.get(letter, letter)
        return text, lambda: self.rng.choice([letter] * 6 + [letter.swapcase()])

    def word(self):
        letters = [self.rng.choice(LETTERS) for _ in range(self.rng.randint(2, 5))]
        if self.rng.random() < 0.3:
            return "\\Q" + "".join(letters) + "\\E", lambda: "".join(letters)
        return "".join("\\" + x if x in META else x for x in letters), lambda: "".join(letters)

    def named(self):
        # Unicode's classes have hundreds of ranges: a few of them test as much as many.
        return self.rng.choice(UNICODE if self.rng.random() < 0.15 else PERL)

    def bracket(self):
        items, members = [], []
        for _ in range(self.rng.randint(1, 4)):
            kind = self.rng.random()
            if kind < 0.4:
                letter = self.rng.choice(LETTERS)
                items.append("\\" + letter if letter in "\\]^-[" else letter)
                members.append(letter)
            elif kind < 0.7:
                low, high = sorted(self.rng.choices(LETTERS, k=2))
                items.append("%s-%s" % tuple("\\" + x if x in "\\]^-[" else x for x in (low, high)))
                members += [low, high]
            elif kind < 0.85:
                items.append("[:%s%s:]" % (self.rng.choice(["", "", "^"]), self.rng.choice(POSIX)))
            else:
                items.append(self.named())
        negated = self.rng.random() < 0.3
        choices = LETTERS if negated or not members else members + [self.rng.choice(LETTERS)]
        return "[%s%s]" % ("^" if negated else "", "".join(items)), lambda: self.rng.choice(choices)

    def atom(self, depth):
        kind = self.rng.random()
        if kind < 0.40:
            return self.literal()
        if kind < 0.48:
            return self.word()
        if kind < 0.60:
            return self.bracket()
        if kind < 0.68:
            return ".", lambda: self.rng.choice(LETTERS)
        if kind < 0.74:
            return self.named(), lambda: self.rng.choice(LETTERS)
        if kind < 0.82:
            return self.rng.choice(["^", "$", "\\A", "\\z", "\\b", "\\B", "\\b", "\\C"]), lambda: self.rng.choice(["", "", "\n", " "])
        if depth == 0:
            return self.literal()
        inner, sample = self.alternation(depth - 1)
        self.names += 1
        prefix = self.rng.choice(["(", "(", "(?:", "(?:", "(?i:", "(?s:", "(?m:", "(?U:", "(?-i:", "(?im-s:", "(?P<n%d>" % self.names,
                                  "(?<n%d>" % self.names])
        return prefix + inner + ")", sample

    def repeated(self, depth):
        text, sample = self.atom(depth)
        if text in ("", "(?i)") or text.startswith("\\Q") or self.rng.random() < 0.65:
            return text, sample
        if len(text) > 1 and text[0] not in "([\\":
            text = "(?:%s)" % text
        low = self.rng.randint(0, 3)
        high = low + self.rng.randint(0, 3)
        operator, bounds = self.rng.choice([("*", (0, 4)), ("+", (1, 4)), ("?", (0, 1)), ("{%d}" % low, (low, low)),
                                            ("{%d,}" % low, (low, low + 2)), ("{%d,%d}" % (low, high), (low, high))])
        lazy = self.rng.choice(["", "", "", "?"])
        return text + operator + lazy, lambda: "".join(sample() for _ in range(self.rng.randint(*bounds)))

    def concatenation(self, depth):
        parts = [self.repeated(depth) for _ in range(self.rng.choice([0, 1, 1, 1, 2, 2, 3, 4]))]
        flags = self.rng.choice(["(?i)", "(?s)", "(?m)", "(?-s)"]) if self.rng.random() < 0.06 else ""
        return flags + "".join(text for text, _ in parts), lambda: "".join(sample() for _, sample in parts)

    def alternation(self, depth):
        branches = [self.concatenation(depth) for _ in range(self.rng.choice([1, 1, 1, 2, 3]))]
        return "|".join(text for text, _ in branches), lambda: self.rng.choice(branches)[1]()

    def pattern(self):
        text, sample = self.alternation(2)
        prefix = self.rng.choice(["", "", "", "", "(?i)", "(?m)", "(?s)", "(?is)"])
        return prefix + text, sample

    SOUP = ["a", "b", "(", ")", "[", "]", "{", "}", "{2", "{1,2}", "{,3}", "{2,1}", "{01}", "{1001}", "*", "+", "?", "|", "^", "$", "\\",
            "\\Q", "\\E", "\\b", "\\_", "\\y", "\\8", "\\1", "\\12", "\\08", "\\x", "\\xf", "\\x4a", "\\x{4a}", "\\x{110000}", "\\x{}", "\\p",
            "\\pL", "\\p{Lu}", "\\pQ", "\\p{^L}", "\\p{", "(?", "(?i)", "(?:", "(?P<a>", "(?P<", "(?<b>", "(?P=a)", "(?=", "(?!", "(?<=", "(?-", "(?-i", "(?i-:",
            "(?z)", "-", "^", "[^", "[]", "[:alpha:]", "[[:alpha:]]", "[[:foo:]]", "[[:^digit:]]", "[:", ":]", "[a-", "-z]", "[z-a]", "[\\d-z]",
            "[a-\\d]", "\\d", "é", "\\é", "é", "**", "*?", "(?U)", ",", "1", "{1,}", "\\z", "\\Z", "\\A", "\\G", "\\a", "\\e", "\\-", "\\ "]

    def soup(self):
        text = "".join(self.rng.choice(self.SOUP) for _ in range(self.rng.randint(1, 6)))
        return text, lambda: self.rng.choice(["a", "b", "aa", "{", "é", "-", ""])

    def text(self, sample):
        kind = self.rng.random()
        if kind < 0.12:
            data = "".join(self.rng.choice(LETTERS) for _ in range(self.rng.randint(0, 8))).encode()
        else:
            data = sample().encode()[:400]
        if self.rng.random() < 0.3:
            pieces = [bytes([byte]) for byte in data] if data.isascii() else [data]
            for _ in range(self.rng.randint(1, 2)):
                change = self.rng.random()
                place = self.rng.randint(0, len(pieces))
                if change < 0.25:
                    pieces.insert(place, self.rng.choice(BROKEN))
                elif change < 0.75 or place == len(pieces):
                    pieces.insert(place, self.rng.choice(LETTERS).encode())
                else:
                    del pieces[place]
            data = b"".join(pieces)
        return data


def is_tolerated(data):
    """Whether RE2 takes some of these bytes for a character that they are not."""
    for index in range(len(data) - 1):
        first, second = data[index], data[index + 1]
        if (first == 0xE0 and 0x80 <= second < 0xA0) or (first == 0xED and 0xA0 <= second < 0xC0):
            return True
        if (first == 0xF0 and 0x80 <= second < 0x90) or (first == 0xF4 and 0x90 <= second < 0xC0):
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--texts", type=int, default=60, help="texts for each pattern")
    arguments = parser.parse_args()
    generator = Generator(random.Random(arguments.seed))
    options = re2.Options()
    options.log_errors = False
    output = sys.stdout
    pairs = 0
    while pairs < arguments.pairs:
        is_soup = generator.rng.random() < 0.4
        pattern, sample = generator.soup() if is_soup else generator.pattern()
        shown = pattern.encode().hex() or "-"
        try:
            regex = re2.compile(pattern.encode(), options)
        except re2.error:
            output.write("e %s\n" % shown)
            continue
        output.write("p %s\n" % shown)
        for _ in range(4 if is_soup else arguments.texts):
            data = generator.text(sample)
            if is_tolerated(data):
                continue
            full = regex.fullmatch(data) is not None
            search = regex.search(data) is not None
            output.write("i %s %d %d\n" % (data.hex() or "-", full, search))
            pairs += 1
    output.write("n %d\n" % pairs)


if __name__ == "__main__":
    main()
