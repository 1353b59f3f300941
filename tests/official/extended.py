"""The venue's official Python library, unmodified, against the simulated Extended venue.

Usage: extended.py FILE, where FILE holds the JSON that `parallax sim --plain` prints first.
Prints a line a check and `N passed, N failed`; exits 1 when one failed. Only URLs, the chain id and
the signing domain of the library's configuration are changed.
"""

import asyncio
import json
import logging
import sys
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import aiohttp
from x10.clients.rest import RestApiClient
from x10.clients.stream import StreamClient
from x10.clients.streamrpc.streamrpc_client import StreamRpcClient
from x10.clients.streamrpc.subscription_params import AccountParams, OrderbooksParams, TradesParams
from x10.config import MAINNET_CONFIG
from x10.core.stark_account import StarkPerpetualAccount
from x10.models.order import OrderSide, OrderType, TimeInForce
from x10.signing.order_object import create_order_object
from x10.utils.date import utc_now

MARKET = "BTC-USD"
TAKER_FEE = Decimal("0.00025")
# Every wait for something that must come ends here, in seconds.
PATIENCE = 10


class Checks:
    """Counts and prints."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if holds else 'FAIL'} {name}{'' if holds else f': {detail}'}")

    async def run(self, name, check):
        try:
            await check
        except Exception as error:  # A check that breaks is a failed check, not the end.
            self.that(name, False, f"{type(error).__name__}: {error}")


def changed(config, **values):
    """A copy with other values, whether dataclass or model."""
    if hasattr(config, "model_copy"):
        return config.model_copy(update=values)
    return replace(config, **values)


def configure(told):
    config = MAINNET_CONFIG
    endpoints = changed(
        config.endpoints,
        api_base_url=told["rest"],
        api_base_order_management_url=told["rest"],
        stream_url=told["stream"],
        stream_rpc_url=told["rpc"],
        onboarding_url=told["onboarding"],
    )
    domain = changed(config.signing.starknet_domain, chain_id=told["chain_id"])
    signing = changed(
        config.signing, signing_domain=told["signing_domain"], starknet_domain=domain
    )
    return changed(config, endpoints=endpoints, signing=signing)


class Official:
    """The library's clients on the told endpoints."""

    def __init__(self, told, checks):
        self.told = told
        self.checks = checks
        self.config = configure(told)
        self.account = StarkPerpetualAccount(
            vault=told["vault"],
            private_key=told["private_key"],
            public_key=told["public_key"],
            api_key=told["api_key"],
        )
        self.rest = RestApiClient(self.config, self.account)
        self.stream = StreamClient(api_url=told["stream"])

    async def market(self):
        return (await self.rest.info.get_markets_dict())[MARKET]

    async def touch(self):
        book = (await self.rest.info.get_orderbook_snapshot(market_name=MARKET)).data
        return book.bid[0].price, book.ask[0].price

    def order(self, market, side, price, qty, **more):
        return create_order_object(
            account=more.pop("account", self.account),
            market=market,
            amount_of_synthetic=qty,
            price=price,
            side=side,
            starknet_domain=self.config.signing.starknet_domain,
            expire_time=utc_now() + timedelta(hours=1),
            taker_fee=more.pop("taker_fee", TAKER_FEE),
            **more,
        )

    async def code_of(self, order):
        """Places an order that must be refused; gives the venue's code."""
        try:
            await self.rest.orders.place_order(order)
        except Exception as error:
            text = str(error)
            at = text.find('{"status"')
            return json.loads(text[at:])["error"]["code"] if at >= 0 else text
        return "accepted"

    async def settled(self, external_id, wanted):
        """The order once it has one of the wanted states."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = (await self.rest.account.get_order_by_external_id(external_id)).data
            if found and found[0].status in wanted:
                return found[0]
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{external_id} never became one of {wanted}")

    # The checks.

    async def markets(self):
        market = await self.market()
        check = self.checks.that
        check("markets: BTC-USD listed and active", market.active and not market.is_rfq)
        check("markets: settlement ids", market.l2_config.synthetic_id.startswith("0x4254432d"))
        check("markets: resolution", market.l2_config.collateral_resolution == 1_000_000)
        stats = (await self.rest.info.get_market_statistics(market_name=MARKET)).data
        check("markets: stats have a touch", stats.bid_price < stats.ask_price)
        bid, ask = await self.touch()
        check("markets: book is not crossed", bid < ask)

    async def book(self):
        """The stream followed by `c`, compared with the venue's own book at equal moments."""
        check = self.checks.that
        book = {"b": {}, "a": {}}
        frames = {"SNAPSHOT": 0, "DELTA": 0}
        sequence = 0
        agreed = 0
        stream = self.stream.subscribe_to_orderbooks(MARKET)
        async with stream:
            raw = stream._StreamConnection__websocket
            end = time.monotonic() + PATIENCE
            last_asked = 0.0
            asking = None
            states = []
            while time.monotonic() < end and agreed < 3:
                frame = json.loads(await asyncio.wait_for(raw.recv(), PATIENCE))
                sequence += 1
                if frame["seq"] != sequence:
                    check("book: sequence", False, f"{frame['seq']} for {sequence}")
                    return
                # The library's own model must take every frame.
                stream._StreamConnection__msg_model_class.model_validate(frame)
                frames[frame["type"]] += 1
                follow(book, frame)
                states.append(best_levels(book))
                del states[:-400]
                if asking is None and time.monotonic() - last_asked > 0.3:
                    last_asked = time.monotonic()
                    asking = asyncio.ensure_future(
                        self.rest.info.get_orderbook_snapshot(market_name=MARKET)
                    )
                if asking is not None and asking.done():
                    # The REST book was one of the states just seen, or one about to be seen.
                    wanted = rest_levels(asking.result().data)
                    agreed += wanted in states
                    asking = None
        check("book: opens with one snapshot", frames["SNAPSHOT"] >= 1)
        check("book: deltas follow", frames["DELTA"] > 10, frames)
        check("book: equals the venue's own book", agreed >= 3, f"agreed {agreed} times")
        async with self.stream.subscribe_to_orderbooks(MARKET, depth=1) as top:
            first = await asyncio.wait_for(top.recv(), PATIENCE)
            check("book: depth 1 has one level a side", len(first.data.bid) == 1)
        async with self.stream.subscribe_to_public_trades(MARKET) as trades:
            first = await asyncio.wait_for(trades.recv(), PATIENCE)
            check("trades: read by the library", first.data[0].market == MARKET)

    async def private(self):
        check = self.checks.that
        info = (await self.rest.account.get_account()).data
        check("account: id and vault", (info.id, info.l2_vault) == self.identity())
        balance = (await self.rest.account.get_balance()).data
        check("account: balance", balance.equity > 0)
        positions = (await self.rest.account.get_positions()).data
        check("account: positions", isinstance(positions, list))
        fees = (await self.rest.account.get_fees(market_names=[MARKET])).data
        check("account: fees", fees[0].taker_fee_rate == TAKER_FEE)
        leverage = (await self.rest.account.get_leverage(market_names=[MARKET])).data
        check("account: leverage", leverage[0].leverage >= 1)
        await self.rest.account.update_leverage(MARKET, Decimal("10"))
        leverage = (await self.rest.account.get_leverage(market_names=[MARKET])).data
        check("account: leverage changed", leverage[0].leverage == 10)
        client = (await self.rest.account.get_client()).data
        check("account: client", client.id > 0)
        orders = (await self.rest.account.get_open_orders()).data
        check("account: open orders", orders == [])

    def identity(self):
        return self.told["account_id"], self.told["vault"]

    async def trading(self):
        check = self.checks.that
        market = await self.market()
        async with self.stream.subscribe_to_account_updates(self.told["api_key"]) as updates:
            opening = [await asyncio.wait_for(updates.recv(), PATIENCE) for _ in range(3)]
            kinds = [frame.type for frame in opening]
            check("stream: three snapshots", kinds == ["ORDER", "BALANCE", "POSITION"], kinds)
            _, ask = await self.touch()
            price = market.trading_config.round_price(ask * Decimal("1.0075"))
            order = self.order(
                market,
                OrderSide.BUY,
                price,
                Decimal("0.001"),
                time_in_force=TimeInForce.IOC,
                order_type=OrderType.MARKET,
            )
            placed = (await self.rest.orders.place_order(order)).data
            check("fill: reply has both ids", placed.id > 2**53 and placed.external_id == order.id)
            filled = await self.settled(order.id, ["FILLED"])
            check("fill: filled at or below the limit", filled.average_price <= price)
            check("fill: paid the taker fee", filled.payed_fee > 0)
            seen = {"ORDER": [], "TRADE": [], "POSITION": [], "BALANCE": []}
            sequence = opening[-1].seq
            while not all(seen.values()):
                frame = await asyncio.wait_for(updates.recv(), PATIENCE)
                sequence += 1
                seen[frame.type].append(frame)
            check("fill: sequence without a gap", frame.seq == sequence)
            check("fill: trade on the stream", seen["TRADE"][0].data.trades[0].order_id == placed.id)
            check("fill: order on the stream", seen["ORDER"][-1].data.orders[0].status == "FILLED")
        position = (await self.rest.account.get_positions(market_names=[MARKET])).data[0]
        check("fill: position", (position.side, position.size) == ("LONG", Decimal("0.001")))
        trades = (await self.rest.account.get_trades(market_names=[MARKET])).data
        check("fill: trade by REST", trades[0].order_id == placed.id and trades[0].is_taker)
        bid, _ = await self.touch()
        price = market.trading_config.round_price(bid * Decimal("0.9925"))
        close = self.order(
            market,
            OrderSide.SELL,
            price,
            Decimal("0.001"),
            time_in_force=TimeInForce.IOC,
            reduce_only=True,
        )
        await self.rest.orders.place_order(close)
        await self.settled(close.id, ["FILLED"])
        positions = (await self.rest.account.get_positions(market_names=[MARKET])).data
        check("fill: closed reduce-only", positions == [], positions)

    async def resting(self):
        check = self.checks.that
        market = await self.market()
        bid, _ = await self.touch()
        price = market.trading_config.round_price(bid * Decimal("0.98"))
        place = self.rest.orders.place_order
        order = self.order(market, OrderSide.BUY, price, Decimal("0.001"), post_only=True)
        placed = (await place(order)).data
        await self.settled(order.id, ["NEW"])
        open_ids = [one.id for one in (await self.rest.account.get_open_orders()).data]
        check("rest: listed as open", placed.id in open_ids)
        next_price = price - market.trading_config.min_price_change
        successor = self.order(
            market,
            OrderSide.BUY,
            next_price,
            Decimal("0.001"),
            post_only=True,
            previous_order_external_id=order.id,
        )
        replaced = (await place(successor)).data
        old = await self.settled(order.id, ["CANCELLED"])
        check("rest: replaced", old.status_reason == "ORDER_REPLACED", old.status_reason)
        await self.rest.orders.cancel_order(replaced.id)
        gone = await self.settled(successor.id, ["CANCELLED"])
        check("rest: cancelled by id", gone.filled_qty == 0)
        third = self.order(market, OrderSide.BUY, price, Decimal("0.002"), post_only=True)
        await place(third)
        await self.rest.orders.cancel_order_by_external_id(third.id)
        await self.settled(third.id, ["CANCELLED"])
        fourth = self.order(market, OrderSide.BUY, price, Decimal("0.003"), post_only=True)
        await place(fourth)
        await self.rest.orders.mass_cancel(markets=[MARKET])
        await self.settled(fourth.id, ["CANCELLED"])
        left = (await self.rest.account.get_open_orders()).data
        check("rest: nothing is left open", left == [], left)
        fifth = self.order(market, OrderSide.BUY, price, Decimal("0.004"), post_only=True)
        await place(fifth)
        # The library has no call for the dead man's switch, so its session makes it.
        async with aiohttp.ClientSession() as session:
            url = f"{self.told['rest']}/user/deadmanswitch?countdownTime=1"
            headers = {"X-Api-Key": self.told["api_key"], "User-Agent": "official"}
            async with session.post(url, headers=headers) as reply:
                check("switch: answers with nothing", (reply.status, await reply.text()) == (200, ""))
        await self.settled(fifth.id, ["CANCELLED"])
        check("switch: cancels what is open", True)
        history = (await self.rest.account.get_orders_history(limit=3)).data
        check("rest: history", len(history) == 3)

    async def withdrawn(self):
        check = self.checks.that
        account = self.rest.account
        chains = (await account.get_bridge_config()).data.chains
        check("bridge: stands on Ethereum", [one.chain for one in chains] == ["ETH"], chains)
        amount = Decimal("12.5")
        quote = (await account.get_bridge_quote("STRK", "ETH", amount)).data
        check("bridge: a quote", 0 < quote.fee < amount, quote)
        assets = (await self.rest.info.get_assets_dict()).values()
        dollar = next(one for one in assets if one.name == "USD").to_settlement_asset()

        async def withdraw(nonce):
            try:
                sent = await account.withdraw(
                    amount, dollar, chain_id="ETH", nonce=nonce, quote_id=quote.id
                )
                return sent.data
            except Exception as error:
                return str(error)

        check("withdrawal: not by an unbound quote", "400" in str(await withdraw(7)))
        await account.commit_bridge_quote(quote.id)
        number = await withdraw(7)
        check("withdrawal: taken", isinstance(number, int), number)
        check("withdrawal: once", "409" in str(await withdraw(7)) or "400" in str(await withdraw(8)))
        rows = (await account.asset_operations()).data
        told = [(one.id, one.type, one.status, one.amount, one.fee) for one in rows]
        row = (str(number), "SLOW_WITHDRAWAL", "IN_PROGRESS", -amount, 0)
        check("withdrawal: listed", told == [row], told)

    async def refused(self):
        check = self.checks.that
        market = await self.market()
        bid, ask = await self.touch()
        low = market.trading_config.round_price(bid * Decimal("0.97"))
        qty = Decimal("0.001")
        buy = OrderSide.BUY
        stranger = StarkPerpetualAccount(
            vault=self.told["vault"],
            private_key="0x1234567",
            public_key=self.told["public_key"],
            api_key=self.told["api_key"],
        )
        wrong = self.order(market, buy, low, qty, account=stranger)
        check("refused: another key's signature, 1101", await self.code_of(wrong) == 1101)
        good = self.order(market, buy, low, qty)
        other_price = good.model_copy(update={"price": low - 1})
        check("refused: price changed, 1101", await self.code_of(other_price) == 1101)
        other_nonce = good.model_copy(update={"nonce": good.nonce + 1})
        check("refused: nonce changed, 1101", await self.code_of(other_nonce) == 1101)
        no_nonce = self.order(market, buy, low, qty, nonce=0)
        code = await self.code_of(no_nonce)
        check("refused: nonce 0, 1133", code == 1133, code)
        await self.rest.orders.place_order(good)
        check("refused: sent again, 1134", await self.code_of(good) == 1134)
        renamed = good.model_copy(update={"id": "another-name"})
        check("refused: same message renamed, 1134", await self.code_of(renamed) == 1134)
        await self.rest.orders.mass_cancel(cancel_all=True)
        await self.settled(good.id, ["CANCELLED"])
        check("refused: id of a closed order, 1134", await self.code_of(good) == 1134)
        cases = [
            ("off the lot", 1121, low, Decimal("0.001001"), {}),
            ("finer than any lot", 1123, low, Decimal("0.0010000001"), {}),
            ("below the smallest size", 1120, low, Decimal("0.00001"), {}),
            ("off the tick", 1124, low + Decimal("0.01"), qty, {}),
            ("far above mark", 1141, (ask * Decimal("1.2")).quantize(Decimal(1)), qty, {}),
            ("fee too low", 1128, low, qty, {"taker_fee": Decimal("0.0001")}),
            ("more than the account has", 1140, low, Decimal("30"), {}),
            ("nothing to reduce", 1137, low, qty, {"reduce_only": True}),
            ("market order that rests", 1139, low, qty, {"order_type": OrderType.MARKET}),
        ]
        for name, code, price, size, more in cases:
            more.setdefault("time_in_force", TimeInForce.GTT)
            # The library checks some of these itself; the venue's own word is wanted.
            kind = more.pop("order_type", OrderType.LIMIT)
            order = self.order(market, buy, price, size, **more)
            order = order.model_copy(update={"type": kind, "qty": size})
            got = await self.code_of(order)
            check(f"refused: {name}, {code}", got == code, got)

    async def rpc(self):
        check = self.checks.that
        frames = []
        breaks = []
        client = StreamRpcClient(
            api_url=self.told["rpc"], on_sequence_break=lambda *gap: breaks.append(gap)
        )
        async with client:
            await client.ping()
            account = str(self.told["account_id"])
            for params in [
                OrderbooksParams(market=MARKET),
                TradesParams(market=MARKET),
                AccountParams(account=account, api_key=self.told["api_key"]),
            ]:
                await client.subscribe(params=params, handler=frames.append)
            listed = await client.list_subscriptions()
            check("rpc: three subscriptions", len(listed) == 3, listed)
            end = time.monotonic() + PATIENCE
            while len(frames) < 60 and time.monotonic() < end:
                await asyncio.sleep(0.05)
            kinds = {frame.type for frame in frames}
            for kind in ["ORDERBOOKS.SNAPSHOT", "ORDERBOOKS.DELTA", "ACCOUNT.BALANCE"]:
                check(f"rpc: {kind}", kind in kinds, kinds)
            check("rpc: no break in sequence", breaks == [], breaks)
            check("rpc: sequence from 0", frames[0].seq == 0, frames[0].seq)
            await client.unsubscribe(topic_id=f"trades.{MARKET}")
            check("rpc: unsubscribed", len(await client.list_subscriptions()) == 2)


def follow(book, frame):
    """Applies a frame: `c` is the size now, a snapshot has only `q`."""
    if frame["type"] == "SNAPSHOT":
        book["b"].clear()
        book["a"].clear()
    for side in "ba":
        for level in frame["data"][side]:
            price = Decimal(level["p"])
            size = Decimal(level.get("c", level["q"]))
            if "c" in level:
                before = book[side].get(price, Decimal(0))
                assert before + Decimal(level["q"]) == size, (before, level)
            if size == 0:
                book[side].pop(price, None)
            else:
                book[side][price] = size


def best_levels(book, depth=20):
    bids = sorted(book["b"].items(), reverse=True)[:depth]
    asks = sorted(book["a"].items())[:depth]
    return bids, asks


def rest_levels(data, depth=20):
    return [(one.price, one.qty) for one in data.bid[:depth]], [
        (one.price, one.qty) for one in data.ask[:depth]
    ]


async def main(path):
    with open(path) as file:
        told = json.loads(file.readline())["extended"]
    checks = Checks()
    official = Official(told, checks)
    for name in ["markets", "book", "private", "trading", "resting", "refused", "withdrawn", "rpc"]:
        await checks.run(name, getattr(official, name)())
    await official.rest.close()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.exit(asyncio.run(main(sys.argv[1])))
