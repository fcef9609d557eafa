"""What codes and closed words mean, in English and Chinese. The test holds every word here to the code, and the code to these words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Meanings = Mapping[str, tuple[str, str]]

# What happens to the whole file.
FILE_CODES: Final[Meanings] = {
    "F001": ("not readable: of a kind that is not taken, not what the feed says, damaged, cut short, or with a DOCTYPE", "文件无法读取"),
    "F002": ("wrong character set, or NUL bytes; byte and line are named", "编码错误或含空字符"),
    "F003": ("too large: beyond `max_size`, a line or record beyond 8 MiB, or what an archive or workbook becomes when it is opened", "文件或单行过大"),
    "F005": ("no data row", "没有数据行"),
    "F006": ("the headings do not fit the item", "标题行与信息项不符"),
    "F007": ("a standard template that was made for another item", "模板的目录编码与信息项不符"),
    "F008": ("a standard template that was made for another department", "模板的部门编码与委办局不符"),
    "F009": ("digest, size or row count differ from the manifest, the manifest cannot be used, or the bytes changed", "与清单不符，或内容已变"),
    "F010": ("an archive that is unsafe: paths, links, overlapping or contradicting entries, archives three deep", "压缩包不安全"),
    "F011": ("an archive that is encrypted, and the password is missing, wrong or of no supported kind", "压缩包已加密，密码缺失或不正确"),
}

# What happens to one row, in the order of the number. A warning counts the row and lets it pass.
ROW_CODES: Final[Meanings] = {
    "R100": ("not as many cells as headings, or a quotation mark out of place", "列数与标题不符"),
    "R101": ("a required field or the natural key is empty", "必填为空"),
    "R102": ("of a group of which one must be given, none is", "必填组全空"),
    "R103": ("longer than the field allows", "超长"),
    "R104": ("not a number, or too large a one", "数值错误"),
    "R105": ("not a date", "日期格式错误"),
    "R106": ("the event lies in the future, or before 1949", "日期晚于当前或早于 1949 年"),
    "R107": ("the end lies before the beginning", "起止颠倒"),
    "R108": ("not in the code list", "代码值不在码表"),
    "R111": ("the check digit of the unified social credit code does not hold", "统一社会信用代码校验不通过"),
    "R112": ("the check digit of the organisation code does not hold", "组织机构代码校验不通过"),
    "R113": ("the check digit of the registration number does not hold; a warning", "注册号校验不通过（仅提示）"),
    "R114": ("the check digit of the ID number does not hold", "身份证件号码校验不通过"),
    "R116": ("a placeholder instead of content; a warning where the field is not required", "占位值"),
    "R117": ("a spreadsheet has rounded the number; it cannot be repaired", "电子表格丢失精度"),
    "R118": ("an amount beyond reason: look at its unit", "单位或金额异常"),
    "R119": ("needed because of another field, and empty", "条件必填为空"),
    "S001": ("the store's own rules refuse the row", "库拒绝该行"),
    "X001": ("the feed's first `check:` line; X002 is the second, and so on; a line may give a `code:` of its own", "报送自定义检查"),
}

# Codes of errors that are no verdict on data.
OTHER_CODES: Final[Meanings] = {
    "R131": ("a column that may not be collected of persons is named; it is never read", "禁止采集字段"),
    "S408": (
        "the connection to a store was lost in the middle of a transaction; the outcome is looked up in the store's inbox, and what was undone is tried again",
        "库连接中断，先查收件登记再重试",
    ),
    "S409": (
        "a store undid a transaction for the sake of another one (deadlock, serialization, a lock that was waited for too long); the whole of it is run again",
        "库事务冲突，整体重试",
    ),
    "S507": ("a store cannot be written, its disk is full or failing; tried again", "库所在磁盘已满或故障"),
    "disk-full": ("landing cannot be written; tried again", "原始库所在磁盘已满"),
    "held": ("a person refused the held run", "经人工拒收"),
    "rejected": ("the run has more rejected rows than `limits` allow, and is held", "疑问数据超过阈值"),
    "shrink": ("a snapshot lacks more records than `limits: shrink` allows; the run is held and nothing was withdrawn", "全量快照缺失记录超过阈值"),
    "host-key": ("an SFTP server shows another key than the pinned one", "服务器主机密钥与登记不符"),
    "login": ("an SFTP server does not let our user in", "SFTP 登录被拒"),
    "old-server": ("an SFTP server offers only algorithms that are not used any more", "SFTP 服务器算法过旧"),
    "permission": ("an SFTP server does not allow us what is needed", "SFTP 权限不足"),
    "fenced": ("another node has taken over this item, feed, share or node name: what was begun here is undone and goes on there", "已由其他节点接管"),
    "ORA-00942": (
        "Oracle has no such table or view, or the account may not read it; other codes of Oracle are in [its errors](../operations/oracle.md#what-errors-mean)",
        "表或视图不存在，或无权读取",
    ),
    "encoding": ("the receiver's character set lacks a character of the parcel; a dead letter", "接收方字符集缺字"),
    "busy": ("a subscriber's window is full; tried again at no cost", "订阅窗口已满"),
    "no_queue": ("RabbitMQ does not have the queue", "队列不存在"),
}

LINT_CODES: Final[Meanings] = {
    "syntax": ("not YAML 1.2", "不是合法的 YAML 1.2"),
    "encoding": ("not UTF-8", "不是 UTF-8"),
    "too-large": ("the file, the number of files or the nesting is beyond its cap", "文件过大、过多或嵌套过深"),
    "not-allowed": ("an anchor, alias, tag or second document", "不允许锚点、别名、标签或多文档"),
    "too-deep": ("more than four levels", "超过四层"),
    "duplicate-key": ("the same key twice", "键重复"),
    "denied-field": ("a field, map or list of columns names what may not be collected of persons (R131)", "禁止采集字段"),
    "duplicate-name": ("two files, fields or headings claim the same name, or two feeds the submissions of one item", "名称重复"),
    "unknown-file": ("a file that is none of a configuration's", "不认识的文件"),
    "missing-file": ("a file that is named is not there", "缺少文件"),
    "unknown-key": ("no such key here", "不认识的键"),
    "missing-key": ("a key that must be there", "缺少键"),
    "wrong-type": ("another type is expected", "类型错误"),
    "bad-value": ("a value that cannot be", "值不合法"),
    "unknown-item": ("not in the catalogue", "目录中没有该信息项"),
    "unknown-agency": ("not among the agencies", "没有该委办局"),
    "unknown-source": ("the agency has no such source", "没有该来源"),
    "unknown-connector": ("no such kind of source or outlet", "没有该连接器"),
    "unknown-feed": ("the agency has no such feed", "没有该报送"),
    "unknown-field": ("the item has no such field", "信息项没有该字段"),
    "unknown-code-list": ("no such code list", "没有该码表"),
    "unknown-function": ("the pipe language has no such function", "没有该函数"),
    "bad-expression": ("an expression that cannot be read, or of another type", "表达式有误"),
    "literal-secret": ("a secret that is written out", "密钥不能写明文"),
    "because-missing": ("safe behaviour is turned off without a reason", "缺少 because 说明"),
}

FATES: Final[Mapping[str, str]] = {
    "read": "records that the source held",
    "rejected": "in quarantine, with rule, field and reason",
    "filtered": "no record at all (a heading repeated, closing totals), or left out by `only:`",
    "duplicate": "equal to another row of its batch",
    "unmatched": "no valid strong identifier, so no subject; the store keeps the row apart",
    "inserted": "new in the store",
    "updated": "changed in the store",
    "unchanged": "in the store already, the same",
    "superseded": "not newer than what the store holds, or replaced by a later row of its batch",
    "withdrawn": "taken back by the agency; the row stays, marked",
    "in_flight": "opened in the ledger and not yet in a store's inbox",
}

STATES: Final[Mapping[str, Mapping[str, str]]] = {
    "feed": {
        "idle": "waits for data or its time",
        "running": "is read",
        "loading": "has been read; its batches are on their way into the store",
        "held": "its run is beyond a limit: `feed release` or `feed refuse`",
        "stopped": "nothing improves until something is changed: then `feed resume`",
        "paused": "a person paused it: `feed resume`",
    },
    "run": {
        "running": "the arrival is read",
        "loading": "everything is read, something is in flight",
        "held": "beyond a limit, or its equation does not hold",
        "succeeded": "nothing in flight, and the equation holds",
        "failed": "the arrival was refused; what was stored before stays",
    },
    "share": {
        "idle": "nothing to deliver",
        "delivering": "hands over",
        "waiting": "has deliveries that are not made yet",
        "stopped": "nothing improves until something is changed: then `share resume`",
        "paused": "a person paused it: `share resume`",
    },
    "delivery": {
        "waiting": "not made yet; tried again",
        "delivered": "the receiver has it",
        "withheld": "nothing was left to hand over",
        "dead": "given up: `replay`",
        "cancelled": "another cut took its place, or it was replayed",
    },
    "quarantine": {
        "open": "nobody has decided",
        "reentered": "sent again in a new batch that names this row",
        "ignored": "a person decided that it is not needed",
    },
}

WITHHELD: Final[Mapping[str, str]] = {
    "no_grant": "no basis where the level asks for one",
    "grant_not_started": "the grant's first day has not come",
    "grant_expired": "the grant's last day has passed",
    "grant_revoked": "the grant or the share was revoked, which outranks the configuration",
    "level": "the record's own scope is stricter than what the basis allows",
    "no_consent": "an authorised record needs the subject's consent",
    "withdrawn": "withdrawn, and never delivered to this receiver",
    "disputed": "the record is disputed",
    "not_normal": "another record status than normal",
    "public_until": "publication has ended",
    "person": "a natural person, and the item does not allow it",
    "unreadable": "something needed for the decision is missing or malformed",
}

DIFFERENCES: Final[Mapping[str, str]] = {
    "landing": "a landed object is missing or altered",
    "item": "the configuration does not know an item any more that has batches",
    "inbox": "ledger and inbox do not tell the same of a batch",
    "ghost": "a stored row that no batch accounts for",
    "lost": "a record that was inserted is gone",
    "equation": "records sent to the store and records with a fate differ",
    "quarantine": "records rejected and records in quarantine differ",
    "fates": "fates of single records do not add up to the batch's counts",
    "delivery": "a share's tallies and its deliveries do not agree",
}

EVENTS: Final[Mapping[str, str]] = {
    "duplicate": "a file that the feed has delivered before; nothing was read",
    "refused": "a whole arrival could not be accepted",
    "replayed": "an arrival was read again by order",
    "reentered": "quarantined rows were sent again",
    "ignored": "quarantined rows were set as not needed",
    "purged": "a queue was emptied",
    "config_refused": "a changed configuration was not taken",
    "pause": "a feed or share was paused",
    "share_replayed": "finished deliveries of a share were offered again by order",
    "resume": "a feed or share goes on",
    "release": "a held run may pass its limits",
    "refuse": "a held run was refused",
    "nil": "an agency said that it has nothing to report for a period",
    "withdrawals_suspended": "a snapshot withdrew nothing, because a row's key could not be read; `reason` says more",
    "unanswered": "no receipt could be left beside a file, because a row set aside cannot be read any more",
    "turned_away": "callers of the gateway were turned away, counted by why; one event a minute at most",
    "key_added": "an API key was made",
    "key_rotated": "an API key got a successor",
    "key_revoked": "an API key was ended",
}

FACTS: Final[Mapping[str, str]] = {
    "started": "the hub is up",
    "settled": "collect is done with a batch",
    "loaded": "a store has a batch",
    "unreadable": "a message could not be read; its batch is cut again from landing",
    "sent_again": "a batch that was in flight and in no queue was sent again from landing",
    "held": "a run is beyond its limits",
    "stopped": "a route stopped until a person acts",
    "stumbled": "the other side did not answer; tried again",
    "offered": "changed records were put into a share's queue",
    "delivered": "a parcel was handed over",
    "withheld": "of a parcel nothing was left to hand over",
    "dead": "a delivery was given up",
    "replayed": "finished deliveries were offered again",
    "config_taken": "a changed configuration is in force",
    "config_refused": "a changed configuration was not taken; the old one goes on",
    "answered": "a receipt lies beside a file that an agency sent",
    "taken": "this node took over a feed, an item or a share, and begins it",
    "left": "this node gave a feed, an item or a share back; another one goes on with it",
    "listening": "the gateway takes calls, at `address`",
    "submitted": "a submission is in landing and numbered",
    "turned_away": "callers of the gateway were turned away, counted by why",
    "withdrawals_suspended": "a snapshot withdrew nothing, because a row's key could not be read",
}
