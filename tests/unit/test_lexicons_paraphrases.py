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
        我要投诉这个客服
        你们这样我真的会投诉的
        再不回复我投诉了啊
        给我等着，差评伺候
        我会如实给差评的
    """,
    ("customer", "sensitive.complaint.platform"): """
        我要找淘宝小二处理
        让平台来处理吧
        已经申请平台客服介入了
        不行就小二介入
        我找平台投诉
        申请平台维权
        我已经找京东客服介入处理了
    """,
    ("customer", "sensitive.complaint.regulator"): """
        我要打12315
        12315见
        我已经向市监局举报了
        去消费者协会告你们
        打12345投诉你们
        黑猫投诉走起
        我已经打了12315
        工商局见
        消协那边我也反映了
    """,
    ("customer", "sensitive.complaint.legal"): """
        我要起诉你们
        咱们法院见
        我的律师会联系你们
        准备走法律程序
        我要告你们
        我会用法律武器维护自己的权益
        律师函已经寄出
    """,
    ("customer", "sensitive.complaint.media"): """
        我要找媒体曝光你们
        发抖音曝光
        我认识电视台的记者，让他们来采访
        微博上见，让大家评评理
        我发小红书避雷你们
        我要让媒体来曝光
        不解决就上热搜
    """,
    ("customer", "sensitive.safety.allergy"): """
        用了你们的面膜，脸上起了好多红疹子
        我脸过敏了
        涂了之后眼睛周围又肿又痒
        用完脸烂了
        宝宝用了湿巾屁股红了一片，起疹子了
        皮肤一直刺痛发红
        擦了你家的防晒脖子上全是红疹
        我用了脸痒得受不了，都肿了
        敷完就泛红刺痛，是过敏了吧
        医生说是接触性皮炎
    """,
    ("customer", "sensitive.safety.injury"): """
        杯子突然裂开把我手划伤了
        椅子断了，我妈摔下来骨折了
        孩子被玩具割破手流血了
        热水袋爆了，把我烫伤了
        充电线漏电把我电了一下
        拉链把孩子的手夹出血了
        吃到玻璃渣，嘴都割破了
    """,
    ("customer", "sensitive.safety.fire"): """
        插线板着火了
        充电器冒烟还有焦味
        手机爆炸了
        热水器漏电，差点电死人
        电吹风烧起来了
        平板电池鼓包把屏幕顶起来了
        插座冒火花了
    """,
    ("customer", "sensitive.safety.poisoning"): """
        吃了你们的零食，孩子上吐下泻
        喝了以后一家人都食物中毒了
        宝宝把干燥剂吃下去了
        吃完拉肚子一晚上
    """,
    ("customer", "sensitive.safety.self_harm"): """
        活着没意思，不想活了
        我想自杀
        真想从楼上跳下去
        活着太累了，想结束生命
    """,
    ("agent", "sensitive.abuse.agent"): """
        你是傻子吗
        神经病
        滚
        脑残
        你是猪吗
        没钱买什么买
        傻逼
        你脑子有问题吧
        有病去医院
        没素质
        闭嘴吧你
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
        你们客服态度真差
        火大，什么玩意
        我很愤怒
        无语了，真的无语
        垃圾店铺
    """,
    ("customer", "emotion.disappointment"): """
        太失望了
        对你们很失望
        再也不会买你家东西了
        太让人失望了，以后不来了
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
        还有多久
        在吗？怎么没人理我
        什么时候能发货啊，急
    """,
    ("customer", "emotion.sadness"): """
        好难过啊
        我都快哭了
    """,
    ("customer", "emotion.worry"): """
        我很担心会不会丢件
        急死我了
    """,
    ("customer", "emotion.gratitude"): """
        谢谢亲
        非常感谢您的帮助
    """,
    ("customer", "emotion.joy"): """
        太开心了
        哇太棒了，好开心
    """,
    ("customer", "service.praise"): """
        客服小姐姐态度真好
        你们服务真不错，很耐心
        你态度真好，谢谢你的耐心
    """,
    ("customer", "service.care"): """
        我下周结婚
        我奶奶刚去世
        老公住院了走不开
        我爸爸上个月走了，心情不好
        我怀孕了，想选温和一点的
    """,
    ("customer", "service.human"): """
        我要人工
        转人工客服
        能转人工吗
    """,
    ("agent", "sensitive.off_platform"): """
        加v:abc123
        薇❤abc123
        加我薇信
        您微信多少，我加您
        你加我微信我给你转差价
        直接转我微信就行，不走平台
        我们线下交易更优惠
        您把钱打我卡上
        您加我个人号，VX：lucky001
        钱直接打我支付宝，不用拍链接
    """,
    ("agent", "sensitive.advertising"): """
        本店销量全网第一
        史上最低价，绝无仅有
        用了百分百祛斑
        7天美白，无效退款
        我们是国家级的认证，质量最好
        顶级面料，极致享受
        这是最好的产品
        我们家价格全网最低，买到就是赚到
        用完这款保证不长痘
        您这个情况保过没问题
    """,
    ("agent", "sensitive.inducement"): """
        亲给个五星好评可以返5元现金哦
        带图好评送优惠券
        评价晒图后找我领红包
        收到后给五星，私聊我返您6.6
    """,
    ("agent", "privacy.request"): """
        把手机收到的6位验证码报给我
        您的银行卡密码发我一下
        身份证正反面照片发我
        麻烦提供一下身份证号和银行卡号给我
    """,
    ("agent", "script"): """
        不能退，拆了就是不能退
        看详情页去
        自己看说明书
        你没长眼睛吗
        我已经说得很清楚了，你听不懂吗
        那你去投诉吧
        这事我管不了
        找快递，别找我
        快递的事别问我
        你想怎么样
        随你
        嗯
        ?
        你自己弄坏的不给退
        你不会是骗子吧，想骗退款
        你爱怎么样怎么样
        你要这么说我也没办法，去投诉吧
        我们不管这个，找厂家
        用过了不给退
        是您自己没看清楚吧
    """,
    ("customer", "emotion.praise"): """
        质量真不错，很满意
    """,
    ("customer", "sensitive.complaint"): """
        你要是今天不退钱我肯定投诉
        我会向平台反映你们店的问题
        已经打过市场监督热线投诉你们
        我要走仲裁，让律师跟你们谈
        这事我一定要在网上曝光
    """,
    ("customer", "sensitive.safety"): """
        戴了你们的耳钉耳朵发炎流脓了
        涂完唇釉嘴唇肿得像香肠
        热水壶突然炸开，水全洒我腿上烫了一大片
        手机自燃了，把书包烧了个洞
        吃了过期零食，进医院洗胃了
    """,
    ("customer", "sensitive.abuse"): """
        你们这群狗东西
        操你妈的
    """,
    ("agent", "privacy"): """
        把您手机号收到的验证码说一下
        我看另一位客人的材料，您照着她的护照填
    """,
    ("agent", "sensitive.abuse"): """
        蠢货
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
