"""Who is heard at the remote control: rates and tokens, by a clock that the test turns."""

from server.admission import FORGOTTEN_SECONDS, MOST_ADDRESSES, MOST_SENDERS, Rates, Token

ANNA, BOB = ("10.0.0.1", 5000), ("10.0.0.2", 5000)


def test_twice_a_seconds_messages_are_heard_at_once_and_then_as_many_as_the_rate() -> None:
    rates = Rates(100.0)
    assert sum(rates.take("10.0.0.1", 0.0) for _ in range(500)) == 200
    assert sum(rates.take("10.0.0.1", 1.0) for _ in range(500)) == 100
    assert sum(rates.take("10.0.0.1", 1.0 + n / 50.0) for n in range(1, 501)) == 500  # 50 a second


def test_one_address_takes_nothing_of_another() -> None:
    rates = Rates(10.0)
    assert sum(rates.take("10.0.0.1", 0.0) for _ in range(100)) == 20
    assert rates.take("10.0.0.2", 0.0)


def test_a_bundle_counts_as_what_is_in_it() -> None:
    rates = Rates(100.0)
    assert rates.take("10.0.0.1", 0.0)
    rates.charge("10.0.0.1", 250.0)
    assert not rates.take("10.0.0.1", 0.5)
    assert rates.take("10.0.0.1", 0.6)


def test_however_many_addresses_there_are_only_so_many_are_remembered() -> None:
    rates = Rates(10.0)
    for number in range(10 * MOST_ADDRESSES):
        rates.take(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(rates._left) == MOST_ADDRESSES


def test_a_token_is_forgotten_after_silence_and_kept_by_talk() -> None:
    token = Token("open sesame")
    assert not token.knows(ANNA, 0.0)
    assert token.shown("open sesame", ANNA, 0.0)
    assert token.knows(ANNA, FORGOTTEN_SECONDS - 1.0)
    assert token.knows(ANNA, 2.0 * FORGOTTEN_SECONDS - 2.0)
    assert not token.knows(ANNA, 3.0 * FORGOTTEN_SECONDS - 2.0)
    assert not token.knows(BOB, 0.0)


def test_a_wrong_token_is_nothing_whatever_its_type() -> None:
    token = Token("open sesame")
    assert not any(token.shown(said, ANNA, 0.0) for said in ("open", "", None, 7, b"open sesame", "open sesamé", True))
    assert not token.knows(ANNA, 0.0)


def test_only_so_many_senders_are_remembered_and_the_most_silent_goes_first() -> None:
    token = Token("open sesame")
    for port in range(MOST_SENDERS):
        token.shown("open sesame", ("10.0.0.1", port), 0.0)
    assert token.knows(("10.0.0.1", 0), 1.0)
    token.shown("open sesame", BOB, 2.0)
    assert [token.knows(("10.0.0.1", port), 3.0) for port in (0, 1, 2)] == [True, False, True]
