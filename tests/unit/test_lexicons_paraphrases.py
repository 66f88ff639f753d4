"""What people say in other words than the packs' own examples still fires the rule that is meant.

Sentences were written from the situation, not from the term lists; each names the rule or the family of
rules of which one must fire on this message alone.
"""

from __future__ import annotations

from typing import Any

import pytest

from stream.core.rules import Counts, RuleTable, View, on_message
from stream.models import build_annotator
from stream.packs import open_book

SAID = {
    ("customer", "sensitive.complaint.threat"): """
        不给我处理我就投诉了
        我要去投诉你们店铺
        今天再不解决，直接投诉
        信不信我投诉你
        等着收投诉吧
        必须给你们一个差评
        这样的话我只能差评了
        不退款我就给差评
        投诉你们！
        我现在就去投诉
        准备投诉你们了
        小心我投诉你
    """,
    ("customer", "sensitive.complaint.platform"): """
        我要找淘宝小二处理
        让平台来处理吧
        已经申请平台客服介入了
        不行就小二介入
        我找平台投诉
    """,
    ("customer", "sensitive.complaint.regulator"): """
        我要打12315
        12315见
        我已经向市监局举报了
        去消费者协会告你们
        打12345投诉你们
        黑猫投诉走起
    """,
    ("customer", "sensitive.complaint.legal"): """
        我要起诉你们
        咱们法院见
        我的律师会联系你们
        准备走法律程序
        我要告你们
    """,
    ("customer", "sensitive.complaint.media"): """
        我要找媒体曝光你们
        发抖音曝光
        我认识电视台的记者，让他们来采访
        微博上见，让大家评评理
        我发小红书避雷你们
    """,
    ("customer", "sensitive.safety.allergy"): """
        用了你们的面膜，脸上起了好多红疹子
        我脸过敏了
        涂了之后眼睛周围又肿又痒
        用完脸烂了
        宝宝用了湿巾屁股红了一片，起疹子了
        皮肤一直刺痛发红
    """,
    ("customer", "sensitive.safety.injury"): """
        杯子突然裂开把我手划伤了
        椅子断了，我妈摔下来骨折了
        孩子被玩具割破手流血了
        热水袋爆了，把我烫伤了
    """,
    ("customer", "sensitive.safety.fire"): """
        插线板着火了
        充电器冒烟还有焦味
        手机爆炸了
        热水器漏电，差点电死人
    """,
    ("customer", "sensitive.safety.poisoning"): """
        吃了你们的零食，孩子上吐下泻
        喝了以后一家人都食物中毒了
    """,
    ("customer", "sensitive.safety.self_harm"): """
        活着没意思，不想活了
        我想自杀
    """,
    ("agent", "sensitive.abuse.agent"): """
        你是傻子吗
        神经病
        滚
        脑残
        你是猪吗
        没钱买什么买
    """,
    ("customer", "sensitive.abuse.customer"): """
        你个傻逼
        你们都是骗子，滚
        你是不是有病
        客服都是智障
    """,
    ("customer", "sensitive.abuse.threat_by_customer"): """
        我知道你们公司地址，等着
        信不信我找人打你
    """,
    ("agent", "sensitive.off_platform.agent_contact"): """
        您加一下我的微信，方便沟通
        我微信号是abc123456，您加我
        可以加我VX细聊
        加威信 13xxx
        +V：abc888
        咱们微信上说吧
        您加下这个QQ 12345678
        方便留个微信吗，我加您
    """,
    ("agent", "sensitive.off_platform.agent_payment"): """
        您支付宝直接转给我吧
        把钱打到这个卡号就行
        您扫这个二维码付款，便宜20
        不用在平台下单，直接转账给我
        您微信转账吧，给您优惠
    """,
    ("agent", "sensitive.advertising.absolute"): """
        我们是全网最低价
        这是最好的面霜
        国家级品质，顶级原料
        销量第一的爆款
        全球首创，独一无二
        行业第一品牌
        这款是最便宜的，没有比我们更低的了
        我们家是NO.1
    """,
    ("agent", "sensitive.advertising.efficacy"): """
        用了肯定不会过敏
        三天见效，永不反弹
        可以治疗湿疹
    """,
    ("agent", "sensitive.advertising.guarantee"): """
        保证百分百出签
        您放心，肯定能过
    """,
    ("agent", "sensitive.inducement.good_review"): """
        五星好评截图给客服领5元红包
        好评返3元
        给个五星好评，送您一份小礼品
        晒图评价返现金
    """,
    ("agent", "sensitive.inducement.suppress_review"): """
        您把差评删了，我给您发20红包
    """,
    ("agent", "privacy.request.secret"): """
        您把短信验证码发我一下
        请提供您的支付密码
        密码告诉我，我帮您登录
    """,
    ("agent", "privacy.request.document"): """
        您拍一下身份证正反面发过来
        麻烦把银行卡号和身份证号发给我
    """,
    ("agent", "privacy.leak.other_customer"): """
        我把其他客户的订单截图发您看看
    """,
    ("agent", "script.forbidden"): """
        这款拆了就不能退了
        拆封了不给退的
        包装打开就不支持退货
        自己去看详情页
        详情页写得很清楚，自己看
        爱买不买
        不买就算了
        这不归我管
        这不是我的责任
        你找快递去
        去找快递
        快递的问题找快递，跟我们没关系
        你爱投诉就投诉
        随便你
        我也没办法，你自己想办法吧
        你烦不烦
        都跟你说了几遍了
        您先取消退款，不然没法处理
    """,
    ("agent", "script.perfunctory"): """
        ?
        ？？？
        哦
        呵呵
    """,
    ("agent", "script.blame"): """
        是你自己弄坏的吧
        谁让你不看清楚
        你自己选错尺码怪谁
        你这是恶意退款
        你就是来骗运费险的吧
    """,
    ("customer", "emotion.anger"): """
        气死我了
        我真的要气炸了
        你们太过分了吧
        什么垃圾态度
        我很生气
        太差劲了你们
        服务态度太差了
        这是什么服务啊
        你们就这么敷衍客户吗
        耍我玩呢
        你们是不是骗子
    """,
    ("customer", "emotion.disappointment"): """
        太失望了
        对你们很失望
        再也不会买你家东西了
    """,
    ("customer", "emotion.urging"): """
        人呢
        还没发货吗
        多久能到啊
        能不能快点
        等了三天了
        怎么还不发货
        客服在不在
        催一下发货
    """,
    ("customer", "emotion.sadness"): """
        好难过啊
    """,
    ("customer", "emotion.worry"): """
        我很担心会不会丢件
    """,
    ("customer", "emotion.gratitude"): """
        谢谢亲
    """,
    ("customer", "emotion.joy"): """
        太开心了
    """,
    ("customer", "service.praise"): """
        客服小姐姐态度真好
        你们服务真不错，很耐心
    """,
    ("customer", "service.care"): """
        我下周结婚
        我奶奶刚去世
        老公住院了走不开
    """,
    ("customer", "service.human"): """
        我要人工
        转人工客服
    """,
}

CASES = [
    (role, rule, line.strip()) for (role, rule), lines in SAID.items() for line in lines.strip().splitlines()
]


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> tuple[RuleTable, Any]:
    book = open_book()
    return book.rules, build_annotator(book.terms, data_dir=tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(("role", "rule", "text"), CASES)
def test_paraphrase_fires(knowledge: tuple[RuleTable, Any], role: str, rule: str, text: str) -> None:
    rules, annotator = knowledge
    view = View(role, 0, Counts().plus(role), annotator.annotate([text])[0])
    fired = [hit.rule.id for hit in on_message(rules, {}, view).hits]
    assert any(one == rule or one.startswith(f"{rule}.") for one in fired), fired
