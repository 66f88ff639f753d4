"""Records that earlier releases wrote are read as those releases meant them."""

from __future__ import annotations

from base64 import b85decode

from stream import openalerts
from stream.core import state as states
from stream.core.ids import mark
from stream.core.state import MARK_SIZE, Turn

# A customer threatened at 20:00:00 to complain to the regulator, an agent greeted five seconds later.
VERSION_1 = b85decode(
    "k^$TRBco$2G0y-10inuzt^m&f00E)Odcla30ssGnr*mj;a9?R;qjN1Wr(<YgZf<34rgUL%VqtHkXL4_KaH?TubY*gLVQgh{t"
    "7CO@bZ>2Ca$jj=qjfDYrD11fZgitzEiu5r!T`X)#1PVY*8!%5n>BpcPi)ID6uyy@&j0`cp~`x$0M7sb0inuzt^m&f00E)Odc"
    "la7u4ZX+b97&FWpi+EZgXX_Z){;MW@&PBbYF61b8v5Nb7iYxVqtD%Z*Fa6Zgj72Y+){8VqtD%Z*Fa6Zgi((Z*698a&)V2Y+)"
    "{AZ*698a&)6%EisXv1OWxl0004@%6hH<k<I`C)W84$zyQF&zyJV}o&W&>&j0`cp~`x$0FuqG$j$0t00Ped00E)OdclYRz`(!"
    "&1D*l_1J3{e0inuzt^kqF00fiZ00Ped00E)OdclYQz`(!&1A_no0s#a8kb=E)Wo~n6bZK^FE@N+PaBN{|ZgehkWoLD4VRUbD"
    "m(E!bF_Qt$0004@%6hH<kid|@w{v51X>fEdXL4m_bZKs9E^TRZb7^j8m(FRsKSKZjk&ywwkidbhV=XZ{V{dJ6Y+-3`beP#7W"
    "inzgWn*PwI5apnGh;AhHa0OcIbk$nG%;p3FgG}6q-bepXwLuu0inuzt^fd%rD11fZgi@1b#P^Jc4>2Oa=?+A*&t>#H)Jt4F*"
    "h|gIAJnlFl8||V>mD}Fkvt-WoBh$WH7yRWo~n6bZK^FE@N+PaBN{|ZgehkWoLD4VRUbDsdHs+b7^#Gc4ee!X=iB90004@%6h"
    "H<sAF|=bZ>2Ca-(f6F}mi6k?5v@<&L{CGBYtX=8Bc*uZiTnpya!(*)ip=qUMOV=%J|Rq`K&)f#r~q=bMq|uA%9JsOgue=8Bc"
    "*uZi!xn&W_s0ONp-<A8#-b7gLGX>@6JWiDfHZE$R1X>N2tG{A$XV|8<MZ*66A0kLLjZe(e0XD)MPZgXjLX?A4+rD11fZgc^d"
    "0n0z`$h0|F5Ms+e?#Q$`SP){%Kkmr1Iam;4%RlbOv^iK1V#`0^3Z_gigL}(AtdY@9JIyxS02HWZVmUNpI5INL0u2rT0L=kh4"
    "$#;H%%=na0RR91006?mfxUBOZgXjLX?A5UV{dJ6Y+-3`bS`pbXLW30bZ>H#%fJ8t0000000G%b<*uUUh_~pWsOO}*=%#_?kd"
    "fz`k>{?V>4T{0m#F57mFTaD@4TAhfQ;sdk?5v@<&L{CGBYtX=8Bc*uZiTnpya!(<A9ChfP%W_h>_@~f#r_7F)}kTHRg(y=&y"
    "<7y`bc~tfgURWo~rB&j0`cp~`x}h{BMpGGRDkW@TYHGB`FjkORaF0s*1QdclYQ07#Hdkbn"
)


def test_a_record_of_version_1_is_read() -> None:
    state = states.decode(VERSION_1)
    assert state.turns == [Turn(1_794_398_400_000, 0, 5_000)]
    assert state.seen == mark("m-1")[:MARK_SIZE] + mark("m-2")[:MARK_SIZE]
    assert states.decode(states.encode(state)) == state


def test_an_alert_that_version_1_kept_open_is_as_it_was_told() -> None:
    state = states.decode(VERSION_1)
    assert openalerts.severities(state) == ("high",)
    opened = openalerts.get(states.decode(states.encode(state)), "c-1:complaint")
    assert opened is not None
    assert (opened.alert_id, opened.step) == ("e2b0ecea84873c0d66139a4b41f7078f", 0)
    assert opened.audiences == ["agent", "supervisor"]
    assert opened.starts_at == 1_794_398_400_000
    (kept,) = opened.findings
    assert kept.finding_id == "f47d1717578a2c0e16c8020a00efedd0"
    assert (kept.rule_id, kept.pack_version) == ("sensitive.complaint.regulator", "sensitive.complaint@4")
    assert (kept.kind, kept.severity, kept.subject) == ("sensitive", "high", "customer")
    assert (kept.message_id, kept.evidence) == ("m-1", "我要去12315投诉你们")
    assert kept.why == "客户表示要向监管部门投诉：「\0」。"
