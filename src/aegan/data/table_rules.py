"""Rules between columns that every row keeps: one tells another, one is never above another, fixed combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.table_bound import Copy, Dependent, Gap, Joint
from aegan.data.table_calendar import Calendar
from aegan.data.table_codecs import Amounts, Choices
from aegan.data.table_columns import Coded, Column, Constant, Identifier
from aegan.data.table_detect import Context
from aegan.data.table_frames import column_of
from aegan.data.table_given import Given, parse_rules, quoted
from aegan.data.table_looks import NumberLook, SpanLook, TimeLook, look_from_json
from aegan.errors import ConfigError, DataError, nearest

Table = dict[str, Column]
Read = tuple[np.ndarray, np.ndarray]
EVIDENCE = 50.0
"""How many nats a dependence has to be less likely by chance."""
MOST_VALUES = 1000
"""Most values of a column that tells another."""
MOST_COMBINATIONS = 20_000
TIED = 0.25
"""Gaps that spread over no more than this part of a column's own spread are learnt in its place, however many: else too
many rows would have to be raised to their bound."""
FEWEST = 200
"""Least number of rows that can show that one column is never above another."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What every row keeps.

    Attributes:
        orders: Pairs ``(a, b)`` with ``a <= b`` wherever both are present, each ``a`` before it is a ``b``'s bound.
        told: Pairs ``(a, b)``: the value of ``a`` tells that of ``b``.
        fixed: Columns of which only the combinations of the data occur.
        unique: Columns whose combination occurs once; whoever samples has to see to it.
    """

    orders: tuple[tuple[str, str], ...] = ()
    told: tuple[tuple[str, str], ...] = ()
    fixed: tuple[tuple[str, ...], ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any, names: Sequence[str]) -> Rules:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: Not rules between columns of these names.
        """
        try:
            rules = cls(**{key: tuple(tuple(group) for group in groups) for key, groups in data.items()})
        except (AttributeError, TypeError) as error:
            raise DataError(f"adapter rules: {error}; the file is damaged.") from error
        groups = (*rules.orders, *rules.told, *rules.fixed, *rules.unique)
        if odd := [name for group in groups for name in group if name not in names]:
            raise DataError(f"adapter rules: no column {odd[0]!r}; the file is damaged.")
        return rules

    def describe(self) -> list[str]:
        """Each rule as people write it."""
        return [
            *(f"{a} <= {b}" for a, b in self.orders),
            *(f"{a} tells {b}" for a, b in self.told),
            *(f"fixed({', '.join(map(quoted, group))})" for group in self.fixed),
            *(f"unique({', '.join(map(quoted, group))})" for group in self.unique),
        ]


def apply_rules(
    table: Table, frame: pd.DataFrame, rules: str | Sequence[str], context: Context, settled: Sequence[str] = ()
) -> Rules:
    """Find the rules of a table and give the columns that they bind their new form, in ``table``.

    Args:
        table: Columns by name, in order; changed in place.
        frame: The rows.
        rules: ``"auto"``, ``"none"`` or a list; see :func:`parse_rules`.
        context: Of the table.
        settled: Names that the user gave a type.

    Raises:
        ConfigError: A column that there is not, or one that a rule cannot bind.
        DataError: A given rule that the data do not keep.
    """
    learn, given = parse_rules(rules)
    for rule in given:
        for name in rule.columns:
            if name not in table:
                raise ConfigError(f"rules: {rule.text!r}: no column {name!r}. {nearest(name, table)}")
    reads = {
        name: column.look.read(column_of(frame, name))
        for name, column in table.items()
        if not isinstance(column, (Constant, Identifier))
    }
    fixed = [rule.columns for rule in given if rule.kind == "fixed"]
    for rule in given:
        if rule.kind == "fixed":
            _fix(table, reads, rule)
    told = _learn_told(table, reads) if learn else []
    for source, target in told:
        _tell(table, reads, source, target)
    if learn:
        told += _learn_copies(table, reads)
    orders = [_checked_order(table, reads, rule, context) for rule in given if rule.kind == "order"]
    if learn:
        orders += [pair for pair in _learn_orders(table, reads) if pair not in orders]
    orders = _sorted_orders(orders)
    for low, high in orders:
        _as_gap(table, reads, low, high, context)
    unique = tuple(rule.columns for rule in given if rule.kind == "unique")
    for rule in given:
        if rule.kind == "unique" and (count := int(frame[list(rule.columns)].duplicated().sum())):
            row = int(np.flatnonzero(frame[list(rule.columns)].duplicated())[0])
            raise DataError(
                f"{context.table}: rule {rule.text!r} does not hold in {count} rows, the first {context.row_name(row)}."
            )
    return Rules(orders=tuple(orders), told=tuple(told), fixed=tuple(fixed), unique=unique)


def _fix(table: Table, reads: Mapping[str, Read], rule: Given) -> None:
    """Make one categorical of several columns."""
    for name in rule.columns:
        if name not in reads or isinstance(table[name], (Joint, Dependent)):
            raise ConfigError(f"rules: {rule.text!r}: column {name!r} is {table[name].describe()}; leave it out.")
    codes = []
    for name in rule.columns:
        values, missing = reads[name]
        code = pd.factorize(values)[0]
        codes.append(np.where(missing, -1, code))
    keys = pd.DataFrame(dict(enumerate(codes)))
    groups = keys.groupby(list(keys.columns), sort=False)
    counts = groups.size().to_numpy()
    first = np.sort(np.flatnonzero(~keys.duplicated().to_numpy()))
    if len(counts) > MOST_COMBINATIONS:
        raise ConfigError(
            f"rules: {rule.text!r}: {len(counts)} combinations; expected at most {MOST_COMBINATIONS}. Name "
            "fewer columns."
        )
    order = np.argsort(-counts, kind="stable")
    first, counts = first[order], counts[order]
    codec = Choices.fit(np.arange(len(first), dtype=np.float64), counts, ordered=False, missing=0)
    members = [(name, table[name].look, reads[name][0][first], reads[name][1][first]) for name in rule.columns]
    head = rule.columns[0]
    table[head] = Joint(head, table[head].look, codec, members)
    for name, look, values, missing in members[1:]:
        table[name] = Dependent(name, look, head, values, missing)


def _learn_told(table: Table, reads: Mapping[str, Read]) -> list[tuple[str, str]]:
    """Pairs of columns of which the first tells the second; no column is both."""
    leaves = {}
    for name, column in table.items():
        if (
            isinstance(column, Coded)
            and isinstance(column.codec, Choices)
            and column.codec.ladder.leaves <= MOST_VALUES
        ):
            leaf, unseen = column.codec.leaves_of(*reads[name])
            if not unseen.any():
                leaves[name] = (leaf, column.codec.ladder.leaves)
    tells = {(a, b) for a in leaves for b in leaves if a != b and _tells(*leaves[a], *leaves[b])}
    places = {name: i for i, name in enumerate(table)}

    def is_root(b: str) -> bool:
        above = [a for a in leaves if (a, b) in tells]
        return all((b, a) in tells and places[b] < places[a] for a in above)

    roots = [name for name in leaves if is_root(name)]
    pairs = []
    for b in leaves:
        sources = [a for a in roots if a != b and (a, b) in tells]
        if b not in roots and sources:
            pairs.append((min(sources, key=lambda a: (leaves[a][1], places[a])), b))
    return pairs


def _tells(a: np.ndarray, size: int, b: np.ndarray, size_b: int) -> bool:
    """Whether each value of ``a`` comes with one value of ``b``, beyond chance."""
    for rows in (slice(0, 1000), slice(None)):
        of = np.full(size, -1, dtype=np.int64)
        of[a[rows]] = b[rows]
        if (of[a[rows]] != b[rows]).any():
            return False
    present = of[of >= 0]
    if len(a) < 10 * len(present):
        return False
    share = np.bincount(b, minlength=size_b) / len(b)
    log_share = np.log(np.maximum(share, 1e-300))
    return float(log_share[present].sum() - log_share[b].sum()) > EVIDENCE


def _tell(table: Table, reads: Mapping[str, Read], source: str, target: str) -> None:
    """Let ``target`` be told by ``source``."""
    a, b = table[source], table[target]
    if not (isinstance(a, Coded) and isinstance(a.codec, Choices)):
        return
    if not (isinstance(b, Coded) and isinstance(b.codec, Choices)):
        return
    leaf, _ = a.codec.leaves_of(*reads[source])
    other, _ = b.codec.leaves_of(*reads[target])
    of = np.full(a.codec.ladder.leaves, np.bincount(other).argmax(), dtype=np.int64)
    of[leaf] = other
    values, missing = b.codec.table
    table[target] = Dependent(target, b.look, source, values[of], missing[of])


def _learn_copies(table: Table, reads: Mapping[str, Read]) -> list[tuple[str, str]]:
    """Columns of amounts that equal an earlier one; in ``table`` they become copies."""
    pairs: list[tuple[str, str]] = []
    firsts: list[str] = []
    for name, column in table.items():
        if not isinstance(column, Calendar) and not (isinstance(column, Coded) and isinstance(column.codec, Amounts)):
            continue
        for first in firsts:
            same_look = column.look.kind == table[first].look.kind and comparable(column, table[first])
            (a, no_a), (b, no_b) = reads[first], reads[name]
            if same_look and len(a) >= 20 and (a == b).all() and (no_a == no_b).all():
                pairs.append((first, name))
                table[name] = Copy(name, column.look, first)
                break
        else:
            firsts.append(name)
    return pairs


def comparable(a: Column, b: Column) -> bool:
    """Whether values of one can be compared with those of the other."""
    if isinstance(a.look, TimeLook) and isinstance(b.look, TimeLook):
        return (a.look.unit, a.look.zone) == (b.look.unit, b.look.zone)
    if isinstance(a.look, SpanLook) and isinstance(b.look, SpanLook):
        return a.look.unit == b.look.unit
    return isinstance(a.look, NumberLook) and isinstance(b.look, NumberLook)


def _bindable(column: Column) -> bool:
    if isinstance(column, Coded):
        return column.look.amounts and column.codec.ordered
    return isinstance(column, (Calendar, Gap))


def _checked_order(table: Table, reads: Mapping[str, Read], rule: Given, context: Context) -> tuple[str, str]:
    low, high = rule.columns
    for name in rule.columns:
        if not _bindable(table[name]):
            raise ConfigError(
                f"rules: {rule.text!r}: column {name!r} is {table[name].describe()}; expected numbers or times."
            )
    if low == high or not comparable(table[low], table[high]):
        raise ConfigError(f"rules: {rule.text!r}: the columns cannot be compared; expected two of one kind.")
    (a, no_a), (b, no_b) = reads[low], reads[high]
    wrong = np.flatnonzero((a > b) & ~no_a & ~no_b)
    if len(wrong):
        row = int(wrong[0])
        shown = table[low].look.show(a[row]), table[high].look.show(b[row])
        raise DataError(
            f"{context.table}: rule {rule.text!r} does not hold in {len(wrong)} rows, the first "
            f"{context.row_name(row)}: {low} is {shown[0]}, {high} is {shown[1]}. Mend the data or leave the rule out."
        )
    return low, high


def _learn_orders(table: Table, reads: Mapping[str, Read]) -> list[tuple[str, str]]:
    """Pairs of amounts of which the first is never above the second although their ranges overlap."""
    names = [name for name, column in table.items() if _bindable(column) and _wide(reads[name])]
    found = [
        (a, b)
        for a in names
        for b in names
        if a != b and comparable(table[a], table[b]) and _never_above(reads[a], reads[b])
    ]
    below = set(found)
    return [(a, b) for a, b in found if not any((a, c) in below and (c, b) in below for c in names if c not in (a, b))]


def _wide(read: Read) -> bool:
    values, missing = read
    return len(values) - missing.sum() >= FEWEST and len(np.unique(values[~missing][:2000])) > 20


def _never_above(low: Read, high: Read) -> bool:
    (a, no_a), (b, no_b) = low, high
    if (a[:500] > b[:500])[~(no_a | no_b)[:500]].any():
        return False
    both = ~no_a & ~no_b
    a, b = a[both], b[both]
    if len(a) < FEWEST or (a > b).any() or (a == b).all():
        return False
    chance = np.mean([np.mean(a > np.roll(b, len(b) // 7 * k + 1)) for k in (1, 2, 3)])
    return bool(chance >= 0.1)


def _sorted_orders(orders: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Bounds before what they bound."""
    left, out = list(orders), []
    while left:
        ready = [pair for pair in left if not any(pair[0] == high for _, high in left)]
        if not ready:
            raise ConfigError(f"rules: {' and '.join(f'{a} <= {b}' for a, b in left[:3])} go round in a circle.")
        out += ready
        left = [pair for pair in left if pair not in ready]
    return out


def _as_gap(table: Table, reads: Mapping[str, Read], low: str, high: str, context: Context) -> None:
    """Code ``high`` as how much it exceeds ``low``, where those gaps are a simpler matter than its own values."""
    column, base = table[high], table[low]
    own = column.codec if isinstance(column, Coded) else None
    if not (isinstance(column, Calendar) or (isinstance(own, Amounts) and own.step is not None)):
        return
    (a, no_a), (b, no_b) = reads[low], reads[high]
    fill = a[~no_a].min()
    gap = (b - np.where(no_a, fill, a))[~no_b].astype(np.float64)
    places, grain = 0, column.grain if isinstance(column, Calendar) else 1
    if isinstance(column.look, NumberLook):
        base_places = base.look.decimals if isinstance(base.look, NumberLook) else None
        if base_places is None or column.look.decimals is None or base_places > column.look.decimals:
            return
        places = column.look.decimals
        gap = np.round(gap, places)
    if isinstance(own, Amounts) and own.step is not None:
        grain = own.step / 10.0**own.decimals
    kept = b[~no_b]
    if len(gap) == 0 or (gap < 0).any():
        return
    if len(np.unique(gap)) > 0.5 * len(np.unique(kept)) and _spread(gap) > TIED * _spread(kept):
        return
    codec = Amounts.fit(gap, bins=context.few(len(gap)), decimals=places, missing=column.missing_leaf())
    limits = (kept.min().item(), kept.max().item())
    table[high] = Gap(high, column.look, low, codec, base=fill.item(), limits=limits, base_look=base.look, grain=grain)


def _spread(values: np.ndarray) -> float:
    """Width of the middle nine tenths."""
    low, high = np.quantile(values.astype(np.float64), [0.05, 0.95])
    return float(high - low)


def gap_from_json(name: str, look: Any, data: Mapping[str, Any], codec: Any, where: str) -> Gap:
    """A :class:`Gap` from what :meth:`Gap.to_json` wrote.

    Raises:
        DataError: A value cannot be.
    """
    low, high = data["limits"]
    base_look = look_from_json(data["base_look"], where)
    grain = data.get("grain", 1 if codec.decimals == 0 else 10.0**-codec.decimals)
    if not grain > 0:
        raise DataError(f"{where}: grain is {grain!r}; expected more than 0. The file is damaged.")
    return Gap(name, look, data["on"], codec, base=data["base"], limits=(low, high), base_look=base_look, grain=grain)
