"""Answers, with the library packaging, what the Go test asks on standard input.

In:  {"versions": [...], "specifiers": [...]}
Out: {"normalized": [text or null per version],
      "ranks": [place in the order of versions, equal versions alike, or null],
      "valid": [bool per specifier set],
      "contains": ["01..." per specifier set, one digit per valid version]}
"""
import json
import sys

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version


def parse(kind, error, text):
    try:
        return kind(text)
    except error:
        return None


asked = json.load(sys.stdin)
versions = [parse(Version, InvalidVersion, text) for text in asked["versions"]]
specifiers = [parse(SpecifierSet, InvalidSpecifier, text) for text in asked["specifiers"]]
valid = [v for v in versions if v is not None]
rank = {v: i for i, v in enumerate(sorted(set(valid)))}
json.dump(
    {
        "normalized": [None if v is None else str(v) for v in versions],
        "ranks": [None if v is None else rank[v] for v in versions],
        "valid": [s is not None for s in specifiers],
        "contains": [
            "" if s is None else "".join("01"[s.contains(v, prereleases=True)] for v in valid)
            for s in specifiers
        ],
    },
    sys.stdout,
)
