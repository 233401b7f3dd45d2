"""The promises of `exporter.keynames`: reversible writing, sensible groups, and masks that hide what they should."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.keynames import KeyNames, LongKey, Privacy, digest, group, long_hash, read, stored, write

WORDS = string.ascii_letters
CREDENTIALS = st.text(alphabet=WORDS, min_size=5, max_size=40).filter(
    # a credential that spells a word of the key's own schema hides nothing
    lambda text: not any(core in text.lower() for core in ("sess", "token", "auth", "otp"))
)


@given(st.binary(max_size=512))
def test_writing_is_reversible(key: bytes) -> None:
    """`read` undoes `write` for every key that is held whole, and what is written is printable."""
    text = write(key)
    assert read(text) == key
    assert text.isprintable()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (b"", ""),
        (b"user:1 x", "user:1 x"),
        ("größe:€".encode(), "größe:€"),
        (b"a\\b", "a\\x5cb"),
        (b"a\nb\x00\x7f", "a\\x0ab\\x00\\x7f"),
        (b"caf\xe9", "caf\\xe9"),
        ("a\u200bb".encode(), "a\\xe2\\x80\\x8bb"),  # printable() decides, not validity
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),  # a surrogate is not UTF-8
    ],
)
def test_how_a_key_is_written(key: bytes, text: str) -> None:
    """Printable UTF-8 stays; the backslash and every other byte become two lower-case hex digits."""
    assert write(key) == text


@pytest.mark.parametrize("text", ["\\", "a\\x5", "\\xZZ", "\\x5C", "\\n"])
def test_what_write_never_wrote_is_refused(text: str) -> None:
    """A backslash that starts no escape is an error, not a guess."""
    with pytest.raises(ValueError, match="backslash"):
        read(text)


def test_long_keys_are_held_in_bounded_memory_and_stay_distinct() -> None:
    """Past 512 bytes a key is its beginning and a digest of all of it; 512 bytes are still held whole."""
    assert stored(b"k" * 512) == b"k" * 512
    one, two = stored(b"k" * 600 + b"1"), stored(b"k" * 600 + b"2")
    assert isinstance(one, LongKey)
    assert len(one) == 528
    assert one != two
    assert stored(one) is one
    imitation = bytes(one)
    assert stored(imitation) != one
    names = KeyNames()
    assert names.label(one) != names.label(imitation)


def test_a_long_key_can_be_built_from_parts() -> None:
    """A reader that never holds the whole key arrives at the same LongKey and the same written form."""
    whole = bytes(range(256)) * 4
    running = long_hash()
    running.update(whole[:700])
    running.update(whole[700:])
    built = LongKey(whole[:512] + running.hexdigest().encode())
    assert built == stored(whole)
    assert write(whole) == write(built)
    assert write(built).endswith(f"~{digest(whole)}")


def test_digests_are_keyed_by_the_secret() -> None:
    """The same key has one digest per secret, secrets of any length count in full."""
    long_secret = b"s" * 100
    seen = {digest(b"k"), digest(b"k", b"a"), digest(b"k", long_secret), digest(b"k", long_secret + b"x")}
    assert len(seen) == 4
    assert all(re.fullmatch("[0-9a-f]{8}", text) for text in seen)
    assert digest(b"k" * 600, b"a") != digest(b"k" * 600)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("user:1234:cart", "user:*:cart"),
        ("session:abc123", "session:*"),
        ("config", "config"),
        ("k1", "k*"),
        ("cart:k9999", "cart:k*"),
        ("page:p7:v2", "page:p*:v2"),
        ("item000042", "item*"),
        ("{user1000}.following", "{user*}.following"),
        ("deadbee1", "*"),
        ("cart-2024-01-05", "cart-*"),
        ("log:2024-01-05T10:11:12.5Z:web", "log:*:web"),
        ("u:550e8400-e29b-41d4-a716-446655440000:x", "u:*:x"),
        ("obj:5f3a9c1e8b", "obj:*"),
        ("mail:bob@example.com:in", "mail:*:in"),
        ("rate:10.0.0.1", "rate:*"),
        ("rate:2001:db8::1:get", "rate:*:get"),
        ("notification_preferences_v2", "notification_preferences_v2"),
        ("report_v2_20240105_final", "report_v2_*_final"),
        ("x:Ab_9xKqPzR-Tt3mQ:y", "x:*:y"),
        ("jwt:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP", "jwt:*"),
        ("x:qWeRtYuIoPaSdFgHjKlZ", "x:*"),
        ("UserNotificationPreferences", "UserNotificationPreferences"),
        ("page:/a/b?x=12345&y=2", "page:/a/b?x=*&y=*"),
        ("größe:12", "größe:*"),
        ("", ""),
        ("::", "::"),
    ],
)
def test_learned_groups(key: str, text: str) -> None:
    """Identifiers fold, words stay, separators stay."""
    assert group(key.encode()) == text


def test_groups_of_binary_keys() -> None:
    """Binary identifiers fold; a word in an old encoding is written, not folded."""
    assert group(b"blob:\x8f\x01\xfe\x99\xa0z") == "blob:*"
    assert group(b"caf\xe9:menu") == "caf\\xe9:menu"


@given(st.binary(max_size=1200))
def test_groups_are_bounded_and_printable(key: bytes) -> None:
    """Whatever the key, its group and label fit and are one printable line."""
    for privacy in ("clear", "hash", "group"):
        names = KeyNames(privacy, max_label_length=32)
        assert len(names.group(key)) <= 64
        assert len(names.label(key)) <= 32
        assert names.group(key).isprintable()
        assert names.label(key).isprintable()


@given(
    st.lists(st.text("ab-Zq_0123459:.{}@\\\n\u0663", max_size=70), min_size=1, max_size=8),
    st.sampled_from(["clear", "hash", "group"]),
)
def test_remembered_shapes_change_no_group(texts: list[str], privacy: Privacy) -> None:
    """Keys of one shape get the same group as a newcomer would name it, in whatever order they come."""
    names = KeyNames(privacy)
    for text in [text.translate(str.maketrans("123", "945")) for text in texts] + texts:
        assert names.group(text.encode()) == KeyNames(privacy).group(text.encode())
        assert names.group(text.encode()) == KeyNames(privacy, groups=("none0*",)).group(text.encode())


def test_patterns_come_first() -> None:
    """The first configured glob that matches is the group, also of masked keys."""
    names = KeyNames(groups=("user:*:cart", "user:*", "session:*:[ab]"))
    assert names.group(b"user:bob:cart") == "user:*:cart"
    assert names.group(b"user:bob:orders") == "user:*"
    assert names.group(b"USER:bob") == "USER:bob"
    assert names.label(b"session:secret:a").startswith("session:*:[ab]~")
    assert group(b"user:bob", ("user:*",)) == "user:*"


def test_short_labels_are_the_key_and_long_ones_are_cut() -> None:
    """A label of at most the limit is the written key; a longer one is cut to end in ~ and 8 hex digits."""
    names = KeyNames()
    assert names.label(b"k" * 128) == "k" * 128
    assert names.label(b"k" * 129) == "k" * 119 + "~" + digest(b"k" * 129)
    assert names.label(b"\xff" * 40) == ("\\xff" * 40)[:119] + "~" + digest(b"\xff" * 40)
    huge = b"k" * 100_000
    assert names.label(huge) == names.label(stored(huge)) == "k" * 119 + "~" + digest(huge)
    roomy = KeyNames(max_label_length=1024)
    assert roomy.label(huge) == "k" * 512 + "~" + digest(huge)


@pytest.mark.parametrize(
    ("key", "safe"),
    [
        (b"session:abc123", "session:*"),
        (b"SESSION:ABC", "SESSION:*"),
        (b"app:session:abcdef", "app:session:*"),
        (b"user:1234:token", "user:*:*"),
        (b"user:1234:token:abc", "user:*:token:*"),
        (b"auth:token:xyz", "auth:token:*"),
        (b"user-sessions:abc:x", "user-sessions:*:*"),
        (b"sess_ab12", "sess_*"),
        (b"my.session.abc", "my.*"),
        (b"access_token", "*"),
        (b"token", "*"),
        (b"session:", "*:"),
        (b"session:{abcdefgh}:data", "session:{*}:*"),
        (b"{abcdefgh}:session:x", "{*}:session:*"),
        (b":abcdefgh:session:x", ":*:session:*"),
        (b"session::abcdefgh", "session::*"),
        (b"abcdefgh:session", "*:*"),
        (b"abcdefgh_sess", "*"),
        (b"sessionabcdefgh", "*"),
        (b"app:sessionabcdefgh:x", "app:*:*"),
        (b"session_abcdefgh:x:y", "session_*:*:*"),
        (b"wbzxkqvj:session:x", "*:session:*"),
        (b"SESS-\xff\xfe", "SESS-*"),
        (b"\xff\xfe:session:\x00", "*:session:*"),
    ],
)
def test_masked_keys_show_their_safe_group(key: bytes, safe: str) -> None:
    """A key that looks like a credential is its safe group, `~` and eight digits that tell it from its siblings."""
    names = KeyNames()
    assert names.label(key) == f"{safe}~{digest(key)}"
    assert names.group(key) == safe


@given(
    credential=CREDENTIALS,
    shape=st.sampled_from(
        [
            "session:{}", "session:{}:data", "app:session:{}", "app:session:{}:cart", "sess_{}", "sess-{}", "sess.{}",
            "token{}", "{}token", "{}:token", "{}:session", "{}_auth", "session/{}", "session|{}", "session#{}",
            "session={}", "session:{{{}}}", "{{{}}}:session", "{{{}}}session:x", ":{}:session", "session::{}:",
            "session:{}\n", "auth:{}:otp", "web:auth_{}:x", "login;auth;{}", "user:12:sessions:{}:meta", "SESSION:{}",
        ]
    ),
    privacy=st.sampled_from(["clear", "hash", "group"]),
)  # fmt: skip
def test_a_credential_of_letters_only_is_never_shown(credential: str, shape: str, privacy: str) -> None:
    """Wherever the credential stands in a masked key, neither label nor group contains it, under any privacy."""
    key = shape.format(credential).encode()
    names = KeyNames(privacy)  # type: ignore[arg-type]
    for text in (names.label(key), names.group(key)):
        assert credential not in text.split("~")[0]


def test_a_mask_of_ones_own() -> None:
    """Masks are globs over the whole key in any case; an empty list masks nothing."""
    names = KeyNames(mask=("pw:*", "*[Ss]ecret?key*"))
    assert names.label(b"PW:bob").startswith("PW:*~")
    assert names.label(b"app:secret_key:bob").startswith("app:secret_*:*~")
    assert names.label(b"session:bob") == "session:bob"
    assert KeyNames(mask=()).label(b"token:bob") == "token:bob"
    assert KeyNames(mask=("*",)).label(b"user:bob").startswith("user:*~")


def test_privacy_hash_hides_every_key_behind_the_secret() -> None:
    """Only a leading namespace and a keyed digest are left of any key; another secret gives another label."""
    names = KeyNames("hash", secret=b"one")
    label = names.label(b"user:alice:cart")
    assert label == "user:*:*~" + digest(b"user:alice:cart", b"one")
    assert label != KeyNames("hash", secret=b"two").label(b"user:alice:cart")
    assert names.group(b"user:alice:cart") == "user:*:*"
    assert names.label(b"alice").startswith("*~")
    assert "alice" not in names.label(b"alice1234:x") + names.label(b"{alice}:x")


def test_privacy_group_shows_groups_only() -> None:
    """Keys of one group share a label; where no identifier is recognised, everything but the namespace folds."""
    names = KeyNames("group")
    assert names.label(b"user:1:cart") == names.label(b"user:2:cart") == "user:*:cart"
    assert names.label(b"user:alice:cart") == "user:*:*"
    assert names.label(b"session:abcdef") == "session:*"
    assert names.label(b"k\\x:1") == "k\\x5cx:*"


def test_tiny_labels_keep_the_digest() -> None:
    """With the shortest allowed label, masked keys stay distinct."""
    names = KeyNames(max_label_length=16)
    one, two = names.label(b"session:one"), names.label(b"session:two")
    assert len(one) == len(two) == 16
    assert one != two
    assert one.startswith("session~")


def test_memory_of_answers_is_bounded() -> None:
    """After more distinct keys than are remembered, answers are still right and the memory has been given up."""
    names = KeyNames()
    for number in range(21_000):
        assert names.group(b"user:%d:cart" % number) == "user:*:cart"
    for number in range(5_000):
        names.label(b"k%d" % number)
    assert len(names._groups) <= 20_000
    assert len(names._labels) <= 4_096
    assert names.group(b"user:1:cart") is names.group(b"user:2:cart")


@pytest.mark.parametrize("key", [b"a" * 512, b"aA" * 256, b":" * 512, b"a_" * 256, b"*" * 512, b"1:" * 256, b"A" * 512])
def test_hostile_shapes_cost_no_more_than_others(key: bytes) -> None:
    """No key makes the patterns backtrack: each takes well under the timeout even a thousand times over."""
    for number in range(1000):
        names = KeyNames("hash", mask=("*a*b*c*d*e*",))
        names.label(key[:500] + b"%d" % number)
        group(key[:500] + b"!%d" % number)
