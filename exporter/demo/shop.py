"""What a shop asks of its cache: sessions, carts, products, a rate limiter, stock, bestsellers, a queue, a stream.

In: seconds since the start, a seed and the server's replies. Out: commands. Pure: no clock, no socket, no logger.
"""

from __future__ import annotations

from bisect import bisect
from collections import deque
from hashlib import blake2s, sha1
from itertools import accumulate
from random import Random

PRODUCTS, SHOPPERS, ADDRESSES = 5_000, 20_000, 2_000
ROTATION_SECONDS = 60.0
SALE_FIRST_SECONDS, SALE_SECONDS, SALE_PERIOD_SECONDS = 6.0, 20.0, 75.0

Command = tuple[str | bytes | int, ...]

LIMITER = "local n = redis.call('INCR', KEYS[1])\nif n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end\nreturn n"
LIMITER_SHA = sha1(LIMITER.encode(), usedforsecurity=False).hexdigest()
LOAD_LIMITER: Command = ("SCRIPT", "LOAD", LIMITER)
CREATE_GROUP: Command = ("XGROUP", "CREATE", "orders", "shipping", "$", "MKSTREAM")
SET_FLAGS: Command = ("SET", "feature:flags", '{"checkout":"v2","search":"v1"}')


class Zipf:
    """Ranks 0..count-1, rank r drawn with a probability in proportion to 1 / (r + 1) ** exponent."""

    def __init__(self, count: int, exponent: float) -> None:
        self._cumulative = list(accumulate((rank + 1) ** -exponent for rank in range(count)))

    def draw(self, random: Random) -> int:
        """Draw one rank."""
        return bisect(self._cumulative, random.random() * self._cumulative[-1])


class Shop:
    """What a shop asks of its cache: commands of database 0 and of database 1, and what follows from the replies.

    Pure: time comes in as seconds since the start, randomness from the seed.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._seed = seed
        self._products = Zipf(PRODUCTS, 1.0)
        self._shoppers = Zipf(SHOPPERS, 0.6)
        self._addresses = Zipf(ADDRESSES, 1.1)
        self._sessions = [f"session:{blake2s(b'%d' % n, digest_size=8).hexdigest()}" for n in range(SHOPPERS)]
        self._carts = [f"cart:{100_000 + n}" for n in range(SHOPPERS)]
        self._follow_ups: deque[Command] = deque([LOAD_LIMITER, CREATE_GROUP, SET_FLAGS])
        self._elapsed = 0.0
        visits = (
            (36, self._page),
            (10, self._listing),
            (10, self._cart),
            (16, self._limited),
            (3, self._login),
            (3, self._checkout),
            (6, self._bestsellers),
            (6, self._worker),
            (10, self._analytics),
        )
        self._visits = [visit for _, visit in visits]
        self._weights = list(accumulate(weight for weight, _ in visits))

    def commands(self, count: int, elapsed: float) -> tuple[list[Command], list[Command]]:
        """About `count` commands (whole visits) for database 0 and for database 1 at `elapsed` seconds."""
        self._elapsed = elapsed
        first: list[Command] = [self._follow_ups.popleft() for _ in range(min(count, len(self._follow_ups)))]
        second: list[Command] = []
        while len(first) + len(second) < count:
            visit = self._random.choices(self._visits, cum_weights=self._weights)[0]
            (second if visit == self._analytics else first).extend(visit())
        return first, second

    def replied(self, command: Command, reply: object) -> None:
        """Do what a cache-aside application does: fill what was missing, acknowledge what was read."""
        match command[0]:
            case "GET" if reply is None:
                self._fill(str(command[1]))
            case "MGET" if isinstance(reply, list):
                for key, value in zip(command[1:], reply, strict=True):
                    if value is None:
                        self._fill(str(key))
            case "XREADGROUP" if isinstance(reply, list) and reply:
                ids = [entry[0] for entry in reply[0][1]]
                self._follow_ups.append(("XACK", "orders", "shipping", *ids))
            case "XREADGROUP" if isinstance(reply, Exception):
                self._follow_ups.append(CREATE_GROUP)  # somebody flushed the database
            case "EVALSHA" if isinstance(reply, Exception):
                self._follow_ups.append(LOAD_LIMITER)

    def _fill(self, key: str) -> None:
        kind, _, name = key.partition(":")
        if kind == "product":
            text = "x" * (100 + int(name) * 37 % 700)
            value = f'{{"id":{name},"price":{int(name) * 7 % 9_000 + 99},"text":"{text}"}}'
            self._follow_ups.append(("SET", key, value, "EX", self._random.randrange(30, 300)))
        elif kind == "session":
            self._follow_ups.append(("SET", key, '{"lang":"en","seen":' + str(int(self._elapsed)) + "}", "EX", 1_800))
        else:
            self._follow_ups.append(SET_FLAGS)

    def sale(self, elapsed: float) -> int | None:
        """Name the product on flash sale at this moment, if any."""
        turn, since = divmod(elapsed - SALE_FIRST_SECONDS, SALE_PERIOD_SECONDS)
        if turn < 0 or since >= SALE_SECONDS:
            return None
        return (self._seed + 1_009 * int(turn) + 2_500) % PRODUCTS

    def _moved(self, rank: int, count: int) -> int:
        """Whose rank this is right now: popularity moves on every minute."""
        return (rank + 137 * int(self._elapsed // ROTATION_SECONDS)) % count

    def _product(self) -> int:
        sale = self.sale(self._elapsed)
        if sale is not None and self._random.random() < 0.4:
            return sale
        return self._moved(self._products.draw(self._random), PRODUCTS)

    def _shopper(self) -> int:
        return self._moved(self._shoppers.draw(self._random), SHOPPERS)

    def _page(self) -> list[Command]:
        product = self._product()
        commands: list[Command] = [("GET", self._sessions[self._shopper()]), ("GET", f"product:{product}")]
        if self._random.random() < 0.5:
            commands.append(("GET", "feature:flags"))
        if self._random.random() < 0.3:
            commands.append(("HGET", "stock", product))
        return commands

    def _listing(self) -> list[Command]:
        return [("MGET", *(f"product:{self._product()}" for _ in range(5)))]

    def _cart(self) -> list[Command]:
        cart = self._carts[self._shopper()]
        if self._random.random() < 0.5:
            return [("HGETALL", cart)]
        return [("HINCRBY", cart, self._product(), 1), ("EXPIRE", cart, 3_600)]

    def _limited(self) -> list[Command]:
        address = self._addresses.draw(self._random)
        key = f"ratelimit:10.0.{address // 250}.{address % 250}"
        return [("EVALSHA", LIMITER_SHA, 1, key, 60)]

    def _login(self) -> list[Command]:
        shopper = self._shopper()
        attempts = f"login:attempts:{shopper}"
        return [
            ("INCR", attempts),
            ("EXPIRE", attempts, 900),
            ("SET", self._sessions[shopper], '{"lang":"en"}', "EX", 1_800),
        ]

    def _checkout(self) -> list[Command]:
        product, shopper = self._product(), self._shopper()
        return [
            ("MULTI",),
            ("HINCRBY", "stock", product, -1),
            ("ZINCRBY", "bestsellers", 1, product),
            ("XADD", "orders", "MAXLEN", "~", 1_000, "*", "shopper", shopper, "product", product),
            ("LPUSH", "queue:emails", f"order {shopper}"),
            ("DEL", self._carts[shopper]),
            ("EXEC",),
        ]

    def _bestsellers(self) -> list[Command]:
        return [("ZREVRANGE", "bestsellers", 0, 9, "WITHSCORES")]

    def _worker(self) -> list[Command]:
        return [
            ("XREADGROUP", "GROUP", "shipping", "packer-1", "COUNT", 10, "STREAMS", "orders", ">"),
            ("RPOP", "queue:emails"),
        ]

    def _analytics(self) -> list[Command]:
        minute = int(self._elapsed // 60)
        page = f"views:{self._product()}:{minute}"
        return [("INCR", page), ("EXPIRE", page, 600), ("PFADD", f"visitors:{minute}", self._shopper())]
