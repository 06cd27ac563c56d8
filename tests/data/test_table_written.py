"""Tables as people write them: amounts with signs and thousands, odd cells, odd headers, old Excel files."""

from __future__ import annotations

import base64
import gzip
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import aegan
from aegan.data.table import TableAdapter
from aegan.data.table_source import open_table
from aegan.data.table_written import Writing, find_writing
from aegan.errors import AeganWarning, DataError
from aegan.tables import _judgeable

RNG = np.random.default_rng(0)
AMOUNTS = np.round(RNG.lognormal(7, 1.5, 300), 2)
# n (0 to 6), name (a, b or c) and when (days of January 2024) in 30 rows, written by xlwt; gzip, base 85.
XLS = (
    "ABzY8000000t4-sU5Hd=7{{M;=A8LBJ9FmD=kCnxPOH#brWfH&H#!xXS1Z;{9|X3m1BEum67+FVmhNQ`bX9aC*hM$?aiNtWS|SmWVNf6#y9!"
    "<?2#HFF?)1F>^NjAZzJW_781oG8bKdiu^PBVE^MBv>oSk1z6lQjRRiC8=v4#>f*UeCJUd`c_>Fq?s$GctA?QPTCy8XDXB9mq#lRh2D9Zwk#j"
    "o-86(wE*5&O~Rpy-2UohV7m9=sk=lp<%)?8dh_5=u@tQRD-G_@@C``@)tPsAoAm=e1N=~&z*5zpcAbP%O8_b{G7WK$3imSyC2LcR34=Y{b)w"
    "<yB|97xjsEH^~%Jy`|Lo|%hDcVL)W)E?J2XLr_U%LdY)tD`1s1TYiFp;X78aZ-BF^;y;*&Dv|qosb%(hAm#(M&p`K<F7uG*=J)#}deF>9fni"
    "uH6i^sy7*J+HF$eiZ!(cyY$;?*{9-gvp);mQQJNp711v$A6)h}24u!wkuC-a>iw3z#PnOS%5}pC`vBH?}sRvIDDs{ET?eNTM#iX9$Kv9C-ja"
    "!EHH+N08sgw>HqPBbRv)^LA`wMLJLI#5ucgbd0aF3h`@e*}VQk+@HSi^f%4vv#p1@zjyuY+vUB#w|3J~z9n0jH=muf!dc;b^0A3;TfMC#>&a"
    ">4+HGq~+KoheS003Ux?yG$M*%tBGk3?ix#!BgGPJXRe#Z?^i_b9UJD|<oiI2Ig>FXa{(5{7cK_`Wdo$-WrLGKefVWAVC1ECY3eW4SezZ2TC&"
    ">rYeXiq8kKpzs?x6nT5qR_rl?t}hb=%j^Cg02dkRLYZ}j|rW!&?(S$p;JnE3iMAxr!90^IhIz+)1ZGAI%A<T%CU@6o&kMQ=)gh;%CSHx4?zD"
    "W^nisPP>u~K<pZEk37xgjS>;$(DbIrbL+G4^&MC)oN_h_S8KFZ99V*8{r91?EPUyUa&MU|AN_igid7&c<9Vy2mr91+CQRsq&E-1$eN_heFC8"
    "3KJx~Lp0D&<AcSA{NF=#p}*q?DIHUlY1)q07p#vQl0KJtuU<LRXYy6{Wla+C3W6RSR8Jj#ZWND(IxpgBE&FIX0-24}uPa9<tCw%CRA(d<b+X"
    "bj?E7lw&oeyau``blpPNm1A|Kybii5bi+b7lw%F0yaBo{^st2<R*nrT<-?$xLXTMJ5#`v3Qa+-dV@(U)RE{;3^5)Iw*cz9&<`VpFe=7p&M?d"
    "=UZ^FTwYW!YqX00!8{weug=LWaA{?8=;+jxey^XGN`r*a*2csoUJEo%H!$#;6+<=i3D`@PV_vwZa_+Denqv31eom)|Cw`G3zHgVEiaLW{lr+"
    "+uY8$JhTGoqMa$02TlM"
)


@pytest.mark.parametrize(
    "writing",
    [
        Writing(before="$", group=",", places=2),
        Writing(before="$", group=",", places=2, minus="digits"),
        Writing(before="$", group=",", places=2, minus="parentheses"),
        Writing(after=" €", group=".", point=",", places=2),
        Writing(before="CHF ", group="'", places=2),
        Writing(after="%", places=1),
        Writing(after=" kg", places=None),
        Writing(group="\u00a0", point=",", places=2),
        Writing(group=","),
        Writing(point=",", places=2),
    ],
)
def test_written_amounts_are_learnt_as_amounts(writing: Writing) -> None:
    signs = np.where(RNG.random(300) < 0.3, -1.0, 1.0)
    texts = pd.Series([writing.write(value) for value in (AMOUNTS * signs).tolist()])
    found = find_writing(texts)
    assert found == writing
    texts[5] = np.nan
    frame = pd.DataFrame({"paid": texts, "x": np.arange(300) % 3})
    adapter = TableAdapter().fit(frame)
    restored = TableAdapter.from_json(adapter.to_json())
    assert restored.columns["paid"].look == adapter.columns["paid"].look
    back = restored.from_tensors(restored.to_tensors(frame).batch(torch.arange(300))["x"])["paid"]
    numbers, gone = adapter.columns["paid"].look.read(back)
    real, missing = adapter.columns["paid"].look.read(texts)
    assert (gone == missing).all() and gone[5]
    assert np.corrcoef(numbers[~gone], real[~gone])[0, 1] > 0.999
    assert [writing.write(value) for value in numbers[~gone]] == back[~gone].tolist()


@pytest.mark.parametrize(
    "cells",
    [
        [f"{i:05d}" for i in range(0, 900, 3)],  # codes
        [f"A{i}" for i in range(300)],
        [f"{i}B" for i in range(300)],
        [f"555 {i} 1{i % 90 + 10}" for i in range(200, 500)],  # telephone numbers
        ["$1.00", "€2.00"] * 100,
        ["$5", "about $7"] * 100,
        [str(i) for i in range(300)],  # plain numbers
        ["1.2.3", "1.2.4"] * 100,
        ["10%", "010%"] * 100,
    ],
)
def test_codes_and_mixtures_are_no_amounts(cells: list[str]) -> None:
    assert find_writing(pd.Series(cells).drop_duplicates()) is None


def test_conditions_on_written_amounts() -> None:
    writing = Writing(before="$", group=",", places=2)
    frame = pd.DataFrame({"paid": [writing.write(v) for v in AMOUNTS.tolist()], "x": np.arange(300) % 3})
    adapter = TableAdapter().fit(frame)
    for where in ({"paid": "1000..2000"}, {"paid": ">=$1,000.00"}):
        made = adapter.from_tensors(adapter.to_tensors(frame).batch(torch.arange(300))["x"], where=where)
        assert min(map(writing.read, made["paid"])) >= 1000
    shown = _judgeable(adapter, frame, [])["paid"]
    assert shown.dtype == np.float64


def test_few_cells_that_are_no_dates(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=299).strftime("%Y-%m-%d").tolist()
    frame = pd.DataFrame({"day": [*days[:100], "unknown", *days[100:]], "x": np.arange(300) % 3})
    with pytest.warns(AeganWarning, match="1 cells are not dates"):
        adapter = TableAdapter().fit(frame)
    assert adapter.columns["day"].look.kind == "time"
    frame.loc[::4, "day"] = "unknown"  # no slip: a value of its own
    assert TableAdapter().fit(frame.iloc[::2]).columns["day"].look.kind == "name"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,\n1,2,\n3,4,\n", "column 3 has no name.*every line ends with a separator"),
        ("made by the shop\na,b\n1,2\n3,4\n", "line 2 has 2 values; expected 1.*a title rather than names"),
        ("p,x\n1,2\ninf,3\n2,4\n", "--inf missing"),
    ],
)
def test_odd_files_say_how_to_mend_them(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        TableAdapter().fit(path)


def test_a_first_line_of_numbers_is_said_aloud(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2.5\n3,4.5\n5,6.5\n")
    with pytest.warns(AeganWarning, match="first line holds numbers alone"):
        assert len(open_table(path)) == 2


def test_infinite_numbers_can_be_missing_ones() -> None:
    rows = pd.DataFrame({"p": [1.0, np.inf, 2.0, 3.0] * 30, "x": list("abcd") * 30})
    made = aegan.fit(rows, steps=2, evaluate=False, inf="missing", settings={"hidden": "8"}).sample(50)
    assert not np.isinf(made["p"]).any()


def test_warnings_say_what_to_type(tmp_path: Path) -> None:
    rows = pd.DataFrame({"my note": [f"row {i} is {i * i} or more" for i in range(100)], "x": np.arange(100) % 3})
    with pytest.warns(AeganWarning, match="--column 'my note=categorical'"):
        TableAdapter().fit(rows)


def test_old_excel_files(tmp_path: Path) -> None:
    pytest.importorskip("xlrd")
    path = tmp_path / "old.xls"
    path.write_bytes(gzip.decompress(base64.b85decode(XLS)))
    frame = open_table(path).frame()
    assert frame["n"].tolist() == [i % 7 for i in range(30)] and frame["name"][2] == "c"
    assert frame["when"][3] == pd.Timestamp("2024-01-04")
    path.write_bytes(b"no excel file")
    with pytest.raises(DataError, match="not an Excel file"):
        open_table(path)


def test_python_m_aegan() -> None:
    done = subprocess.run([sys.executable, "-m", "aegan", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and aegan.__version__ in done.stdout


def test_no_warning_for_plain_tables() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", AeganWarning)
        TableAdapter().fit(pd.DataFrame({"a": AMOUNTS, "b": np.arange(300) % 5}))
