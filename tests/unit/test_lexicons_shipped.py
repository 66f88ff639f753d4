"""The shipped packs: sound, tested in their own files, and quiet on ordinary talk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

import lexicons
from stream.core.book import RuleBook
from stream.core.outputs import Severity
from stream.core.rules import Counts, View, on_message
from stream.models import build_annotator
from stream.packs import SHIPPED, Options, check, try_open

FOLDER = Path(lexicons.__file__).parent
FILES = sorted(FOLDER.glob("*/*.yaml"))

# Kinds whose false alarms the product promises to cap.
CAPPED = frozenset({"sensitive", "script", "privacy"})

# One rule at medium or above for every class of conduct that a supervisor asked to hear of.
CLASSES = {
    "complaint": "sensitive.complaint.threat",
    "platform": "sensitive.complaint.platform",
    "regulator": "sensitive.complaint.regulator",
    "legal": "sensitive.complaint.legal",
    "media": "sensitive.complaint.media",
    "allergy": "sensitive.safety.allergy",
    "injury": "sensitive.safety.injury",
    "fire": "sensitive.safety.fire",
    "poisoning": "sensitive.safety.poisoning",
    "self-harm": "sensitive.safety.self_harm",
    "abuse": "sensitive.abuse.customer",
    "abuse by an agent": "sensitive.abuse.agent",
    "threats": "sensitive.abuse.threat_by_customer",
    "privacy asked for": "privacy.request.secret",
    "privacy leaked": "privacy.leak.other_customer",
    "off-platform contact": "sensitive.off_platform.agent_contact",
    "off-platform payment": "sensitive.off_platform.agent_payment",
    "advertising absolutes": "sensitive.advertising.absolute",
    "refusal": "script.forbidden.refuse_return",
    "attitude": "script.forbidden.attitude",
    "curt reply": "script.perfunctory.curt",
    "obstructed return": "script.forbidden.obstruct_return",
    "inducement": "sensitive.inducement.good_review",
    "blame": "script.blame.customer",
}

# The ladder of a complaint: no rung weighs less than the one below.
LADDER = ("inquiry", "threat", "platform", "regulator", "legal", "media")

ORDINARY_AGENT = """
您好，最近下单的客户比较多，请您稍等一下
亲，这是最后一件了，喜欢的话可以先拍下
查到结果我会第一时间联系您
一天之内就能发出，您放心
您的唯一订单号在订单详情里可以看到
最晚发货时间是十一月十四日
首次登录需要短信验证，您在页面上填写就可以
第一次使用建议先充满电
最好提前两周准备签证材料
价格以付款页为准，支持三十天价保
支持微信、支付宝和银行卡付款
退款会原路退回您的支付宝账户
平台规定不能加微信，有问题您在这里联系我
请不要把验证码告诉任何人
忘记密码的话可以在登录页找回
身份证照片请在订单页的加密入口上传
拆封也支持七天无理由，您放心退
质量问题我们承担来回运费
您先别着急，我马上帮您查
给您添麻烦了，非常抱歉
包裹已经打包过了，今晚发走
签证结果以使馆审核为准，任何机构都不能保证出签
满意的话可以给个好评哦
我们店没有好评返现的活动
这款是我们店里卖得比较好的一款
效果因人而异，建议先在耳后试用
嗯嗯，好的，我帮您备注
哦哦，明白您的意思了，我来处理
图片上的步骤您有看不懂吗，我给您录个视频
请问是您自己用还是送人呢
我帮您联系快递核实一下，稍后回复您
您也可以在详情页查看尺码表，我截图发您
全程冷链配送，独家口味今天有货
这个型号搭载最新的芯片，性能提升明显
亲亲，独立包装更卫生哦
世界那么大，祝您旅途愉快
您好，微信支付或者支付宝都可以
您在微信小程序里可以查物流
您可以扫描包装上的二维码查真伪
扫码关注公众号可以领会员
打开微信扫一扫就能看到说明书
您的微信昵称和头像要重新授权一下
请您加一下我们的会员
加一个购物车就能看到优惠
您可以把卡号后四位告诉我核实一下
退款会退到您的银行卡
验证码收不到的话请检查短信拦截
请在页面上输入验证码登录
支付密码连续输错会锁定
我们不会索要验证码和密码的
身份证要满足六个月以上有效期
您的身份证信息需要在海关申报页面上传
护照有效期要六个月以上
最近天气降温，注意保暖
我们最快今天发货
最多可以买五件
目前价格最优惠的是三件套
这是最新款，上周刚到货
第一步先点设置
第一个订单已经发出了
唯一的区别是颜色
首次下单可以领新人券
顶级会员可以享受专线
国家级景区门票需要提前预约
好的，您随便逛逛，有需要喊我
随便哪个颜色都有现货
您自己选喜欢的颜色就好
是你自己用还是送朋友呀
谁让您这么早起床呀，辛苦啦
退货运费险已经帮您赠送了
不影响二次销售都支持退货
食品类拆封后不支持七天无理由，质量问题可以退
您如果不需要了可以在页面取消退款申请
您的退款申请已经帮您取消重新提交了
快递员电话在物流页面里
您可以联系快递员约定派送时间
物流的问题我帮您联系快递
我这边看不到快递员电话，您稍等我去查
感谢您的五星好评，祝您生活愉快
亲，收到满意记得给个好评哦
晒图可以参加平台的活动
差评我们看到了，很抱歉给您带来不好的体验
您可以修改评价，也可以追评
仓库今天盘点，明天恢复发货
签证不是百分之百能过的，请您理解
不能保证肯定能过，但我们会尽力
您的快递包过来要三天
恶意刷单会被平台处罚，请您注意
我们不认为您是恶意的
好哒
嗯好的
?好的亲，我看看
哦，是这样啊，我明白了，给您换
您没看到吗？我再发一遍图片
听不懂的话我给您打电话说明
您等着收货就好啦
亲，请您等着就行，明天到
稍等我催一下仓库
别催啦，马上就好哈哈
手机没问题的，跟快递没关系
这个活动跟我们店没关系，是平台发的券
不是我们的责任也会帮您处理的
我给您打电话说一下
您方便留个电话吗，我让主管联系您
您加这个配件一起拍更划算
+1 哈哈我也喜欢这款
V领的那款有货
用户说明书里写得很清楚，我截图给您
您自己在家量一下尺码就行
亲可以自己在物流页面查看进度
你自己拍也行，我帮你改地址也行
快递员的电话我发您，您联系他
导游小王的手机号我发给您
验证码发到您手机上了，您在页面输入就行
您方便的话扫一下包装上的二维码下载说明书
退款到账后您查一下支付宝
我把您的地址改好了，发给您核对
上一位客服的记录我看到了，我来接着处理
一般七天内能办下来，具体看使馆
拆开后不影响二次销售可以退的
评价可以在订单里修改
如果不需要退款了，可以关闭售后
这是门店的官方收款码，您到店付就可以
洗过的话您先拍照给我，看看能不能退
没有包装盒也可以退的
空气炸锅今天有活动
别的客户也反馈过，地址填错的话要重新拍
您给我转账截图看一下，我核对差价
钱会打到您的支付宝
我给您转到我们技术那边
这个是厂家说明书上写的，我拍给您看
收到验证码了吗，没收到的话再点一次发送
您收到的验证码有效期是五分钟
洗坏的我们也可以帮您修
这款销量一直不错，回头客很多
用了都说好，您可以看看买家秀
"""

ORDINARY_CUSTOMER = """
麻烦你帮我看一下订单
麻烦尽快发货，谢谢
我不投诉，就是想问清楚
怎么修改收货地址
上次投诉过快递，已经解决了
我看到有个差评说会掉色，是真的吗
敏感肌可以用吗，会不会过敏
我是过敏体质，用哪款比较好
有没有舒缓泛红的面霜
小孩玩会不会受伤
电池会不会爆炸，充电安全吗
手机好像中毒了，老是弹广告
忙得嗓子都冒烟了，才有空回你
这是跳楼价吧，太便宜了
笑死我了，你们客服真逗
我是律师，想办商务签需要什么材料
工商银行的卡可以付款吗
夜景长曝光怎么拍
在抖音看到直播过来的
可以微信支付吗
火车站附近能自提吗
有滚筒洗衣机的罩子吗
他妈妈也想要一件同款
废物利用的收纳盒有吗
这个价格不算太过分
先不用平台介入，你们帮我处理就好
官方旗舰店是你们吗
验证码收不到怎么办
法院的公章可以盖在在职证明上吗
给做记者的朋友买个相机包
请问投诉电话是多少
我是来表扬的，不是来投诉的
之前投诉的问题已经解决了，谢谢
你们平台可以开发票吗
我在平台上看到有优惠
请问平台介入要多久处理
官方售后电话多少
法院工作人员可以办旅游签吗
我们律所团建想订酒店
我在电视台工作，要开单位证明
这个相机曝光补偿在哪里调
可以发朋友圈集赞吗
我看小红书上推荐你们这款
抖音同款有吗
发微博抽奖的活动在哪
我想转告你们仓库地址写错了
脸有点干，用哪款好
眼睛肿能用眼膜消肿吗
晒后脸发红可以用芦荟胶吗
泛红肌可以用吗
我妈骨折了，想退掉机票
手机摔了一下屏幕碎了
电池能用多久
充电的时候有点烫正常吗
这个烟雾报警器冒烟会响吗
老婆说再乱买就打死我哈哈
给我滚筒洗衣机的说明书
滚轮松了怎么办
我这个白痴操作，把地址填错了
神经酰胺的面霜有吗
这个玩具叫小混蛋是吧
废旧手机回收吗
你们是不是有病例模板
有病假条能退机票吗
不要脸部喷雾，换成身体乳
请问能加急吗
我等了三天了，请问到哪里了
人工费多少
别发顺丰了，发中通吧
再不买就没活动了吧
还有别的颜色吗
差评里说的问题解决了吗
举报中心的电话贴错了吧，你们页面
我知道你们公司地址在杭州，可以自提吗
小孩不小心吃到润唇膏要紧吗
这个跳楼机项目包含在门票里吗
今晚吃饱了撑死了不想活动
手机屏幕划了一道
我手机摔了一下
我把相机摔坏了能修吗
电饭煲煮饭有焦味正常吗
这个咖啡焦糊味重不重
喝了几天挺好的，没有拉肚子
吃了会不会拉肚子
孩子吞咽困难可以吃吗
桌腿磕破了一块漆
鞋子有点磨脚
箱子摔得变形了
空气炸锅什么时候发货
给我来一包干燥剂
干燥剂要不要拿出来
电视台节目里推荐的那款有吗
我朋友是记者，想买相机包
活着的虾能发货吗
不会去投诉你们的
评论里说给差评的是怎么回事
电池鼓励以旧换新吗
手机充电鼓捣半天充不上
我妈妈摔跤住院，想退票
小孩从床上爬下来安全吗
带人去你们店里看货可以吗
晚上下班小心点开车
你们公司周末有人吗
法院传票能邮寄吗
维权热线印在哪里
这个刀去皮好用吗
提前一天去找你们取货可以吗
我把地址发给你们客服了
烫伤膏有吗
红疙瘩是蚊子咬的，有没有止痒的
锅底烧黑了怎么洗
衣服上烧了个洞，能买块布补吗
"""


@pytest.fixture(scope="module")
def opened() -> tuple[RuleBook, Any, list[Any]]:
    book, packs, problems = try_open([SHIPPED], Options(drafts=True))
    return book, packs, list(problems)


@pytest.fixture(scope="module")
def annotator(opened: tuple[RuleBook, Any, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build_annotator(opened[0].terms, data_dir=tmp_path_factory.mktemp("data"))


def fired(book: RuleBook, annotator: Any, role: str, text: str) -> list[Any]:
    """Return the rules that one message alone fires."""
    counts = Counts().plus(role)
    view = View(role, 0, counts, annotator.annotate([text])[0])
    return [hit.rule for hit in on_message(book.rules, {}, view).hits]


def test_packs_load_without_a_problem(opened: tuple[RuleBook, Any, list[Any]]) -> None:
    assert opened[2] == []


def test_packs_pass_the_tests_in_their_files(opened: tuple[RuleBook, Any, list[Any]], annotator: Any) -> None:
    book, packs, _ = opened
    assert [str(problem) for problem in check.run(book, annotator, packs)] == []
    assert [str(problem) for problem in check.unused_lists(book, packs)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_every_rule_has_two_cases_of_each_sort(path: Path) -> None:
    pack = yaml.safe_load(path.read_text("utf-8"))
    hits: Counter[str] = Counter()
    misses: Counter[str] = Counter()
    for case in pack.get("tests", ()):
        hits[case["rule"]] += len(case.get("hit", ())) + bool(case.get("hits_at"))
        misses[case["rule"]] += len(case.get("miss", ())) + (case.get("hits_at") == [])
    rules = [rule["id"] for rule in pack.get("rules", ())]
    assert [rule for rule in rules if hits[rule] < 2 or misses[rule] < 2] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_kind_of_every_rule_is_its_folder(opened: tuple[RuleBook, Any, list[Any]], path: Path) -> None:
    written = yaml.safe_load(path.read_text("utf-8")).get("rules", ())
    rules = [opened[0].rules.get(one["id"]) for one in written]
    assert [rule.kind for rule in rules if rule is not None] == [path.parent.name] * len(written)


@pytest.mark.parametrize("rule_id", CLASSES.values(), ids=CLASSES.keys())
def test_class_of_conduct_has_a_notable_rule(opened: tuple[RuleBook, Any, list[Any]], rule_id: str) -> None:
    rule = opened[0].rules.get(rule_id)
    assert rule is not None
    assert rule.severity.rank >= Severity.MEDIUM.rank
    assert "supervisor" in rule.audiences


def test_complaint_ladder_rises(opened: tuple[RuleBook, Any, list[Any]]) -> None:
    rules = [opened[0].rules.get(f"sensitive.complaint.{rung}") for rung in LADDER]
    ranks = [rule.severity.rank for rule in rules if rule is not None]
    assert len(ranks) == len(LADDER)
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[1] < ranks[2] < ranks[-1]


def test_strong_emotion_tells_agent_and_supervisor(opened: tuple[RuleBook, Any, list[Any]]) -> None:
    for name in ("emotion.anger.explicit", "emotion.anger.strong", "emotion.disappointment.leaving"):
        rule = opened[0].rules.get(name)
        assert rule is not None
        assert set(rule.audiences) == {"agent", "supervisor"}


def test_abuse_by_an_agent_is_critical(opened: tuple[RuleBook, Any, list[Any]]) -> None:
    for name in ("sensitive.abuse.agent", "sensitive.abuse.threat_by_agent"):
        rule = opened[0].rules.get(name)
        assert rule is not None
        assert rule.severity is Severity.CRITICAL


def test_notable_rules_say_what_to_do(opened: tuple[RuleBook, Any, list[Any]]) -> None:
    telling = [rule for rule in opened[0].rules if rule.deed is None]
    silent = [rule.id for rule in telling if not rule.advice or not rule.why.endswith("。")]
    assert silent == []


@pytest.mark.parametrize(
    ("role", "text"),
    [("agent", line) for line in ORDINARY_AGENT.split("\n") if line]
    + [("customer", line) for line in ORDINARY_CUSTOMER.split("\n") if line],
)
def test_ordinary_talk_raises_nothing_notable(
    opened: tuple[RuleBook, Any, list[Any]], annotator: Any, role: str, text: str
) -> None:
    notable = [
        rule.id
        for rule in fired(opened[0], annotator, role, text)
        if rule.kind in CAPPED and rule.severity.rank >= Severity.MEDIUM.rank
    ]
    assert notable == []
