"""Words for attributes: how people name genres and countries in English and Chinese, and how they start a wish.

A value that is not listed is said as it stands in the catalog. Country lists begin with the adjective.
"""

import pandas as pd

GENRE_WORDS: dict[str, dict[str, list[str]]] = {
    "Action": {"en": ["action", "action-packed"], "zh": ["动作"]},
    "Adventure": {"en": ["adventure", "adventurous"], "zh": ["冒险", "探险"]},
    "Animation": {"en": ["animation", "animated", "cartoon"], "zh": ["动画", "卡通"]},
    "Children": {"en": ["children's", "kids", "family"], "zh": ["儿童", "家庭"]},
    "Comedy": {"en": ["comedy", "funny"], "zh": ["喜剧", "搞笑"]},
    "Crime": {"en": ["crime", "gangster"], "zh": ["犯罪", "黑帮"]},
    "Documentary": {"en": ["documentary"], "zh": ["纪录"]},
    "Drama": {"en": ["drama", "dramatic"], "zh": ["剧情"]},
    "Fantasy": {"en": ["fantasy", "magical"], "zh": ["奇幻", "魔幻"]},
    "Film-Noir": {"en": ["film noir", "noir"], "zh": ["黑色"]},
    "Horror": {"en": ["horror", "scary"], "zh": ["恐怖", "吓人的"]},
    "IMAX": {"en": ["imax"], "zh": ["imax"]},
    "Musical": {"en": ["musical"], "zh": ["歌舞", "音乐"]},
    "Mystery": {"en": ["mystery", "whodunit"], "zh": ["悬疑", "推理"]},
    "Romance": {"en": ["romantic", "romance"], "zh": ["爱情", "浪漫"]},
    "Sci-Fi": {"en": ["science fiction", "sci-fi", "scifi"], "zh": ["科幻"]},
    "Thriller": {"en": ["thriller", "suspense"], "zh": ["惊悚"]},
    "War": {"en": ["war", "wartime"], "zh": ["战争"]},
    "Western": {"en": ["western", "cowboy"], "zh": ["西部"]},
}

# One genre alone is often said as a noun: "in the mood for westerns".
GENRE_NOUNS: dict[str, list[str]] = {
    "Comedy": ["comedies"],
    "Documentary": ["documentaries"],
    "Drama": ["dramas"],
    "Film-Noir": ["film noir"],
    "Horror": ["horror"],
    "Musical": ["musicals"],
    "Romance": ["love stories", "romance"],
    "Sci-Fi": ["science fiction", "sci-fi"],
    "Thriller": ["thrillers"],
    "Western": ["westerns"],
}

COUNTRY_WORDS: dict[str, dict[str, list[str]]] = {
    "Argentina": {"en": ["argentine", "argentina"], "zh": ["阿根廷"]},
    "Australia": {"en": ["australian", "australia"], "zh": ["澳大利亚", "澳洲"]},
    "Austria": {"en": ["austrian", "austria"], "zh": ["奥地利"]},
    "Belgium": {"en": ["belgian", "belgium"], "zh": ["比利时"]},
    "Brazil": {"en": ["brazilian", "brazil"], "zh": ["巴西"]},
    "Canada": {"en": ["canadian", "canada"], "zh": ["加拿大"]},
    "Chile": {"en": ["chilean", "chile"], "zh": ["智利"]},
    "China": {"en": ["chinese", "china"], "zh": ["中国", "国产"]},
    "Czechia": {"en": ["czech", "czechia", "czechoslovakia"], "zh": ["捷克"]},
    "Denmark": {"en": ["danish", "denmark"], "zh": ["丹麦"]},
    "Finland": {"en": ["finnish", "finland"], "zh": ["芬兰"]},
    "France": {"en": ["french", "france"], "zh": ["法国"]},
    "Germany": {"en": ["german", "germany"], "zh": ["德国"]},
    "Greece": {"en": ["greek", "greece"], "zh": ["希腊"]},
    "Hong Kong": {"en": ["hong kong", "hongkong"], "zh": ["香港", "港"]},
    "Hungary": {"en": ["hungarian", "hungary"], "zh": ["匈牙利"]},
    "India": {"en": ["indian", "india"], "zh": ["印度"]},
    "Iran": {"en": ["iranian", "iran"], "zh": ["伊朗"]},
    "Ireland": {"en": ["irish", "ireland"], "zh": ["爱尔兰"]},
    "Israel": {"en": ["israeli", "israel"], "zh": ["以色列"]},
    "Italy": {"en": ["italian", "italy"], "zh": ["意大利"]},
    "Japan": {"en": ["japanese", "japan"], "zh": ["日本"]},
    "Lebanon": {"en": ["lebanese", "lebanon"], "zh": ["黎巴嫩"]},
    "Mexico": {"en": ["mexican", "mexico"], "zh": ["墨西哥"]},
    "Netherlands": {"en": ["dutch", "the netherlands"], "zh": ["荷兰"]},
    "New Zealand": {"en": ["new zealand", "newzealand"], "zh": ["新西兰"]},
    "Norway": {"en": ["norwegian", "norway"], "zh": ["挪威"]},
    "Poland": {"en": ["polish", "poland"], "zh": ["波兰"]},
    "Portugal": {"en": ["portuguese", "portugal"], "zh": ["葡萄牙"]},
    "Romania": {"en": ["romanian", "romania"], "zh": ["罗马尼亚"]},
    "Russia": {"en": ["russian", "russia"], "zh": ["俄罗斯"]},
    "Senegal": {"en": ["senegalese", "senegal"], "zh": ["塞内加尔"]},
    "South Africa": {"en": ["south african", "south africa"], "zh": ["南非"]},
    "South Korea": {"en": ["korean", "korea", "south korea"], "zh": ["韩国"]},
    "Spain": {"en": ["spanish", "spain"], "zh": ["西班牙"]},
    "Sweden": {"en": ["swedish", "sweden"], "zh": ["瑞典"]},
    "Switzerland": {"en": ["swiss", "switzerland"], "zh": ["瑞士"]},
    "Taiwan": {"en": ["taiwanese", "taiwan"], "zh": ["台湾"]},
    "Thailand": {"en": ["thai", "thailand"], "zh": ["泰国"]},
    "Turkey": {"en": ["turkish", "turkey"], "zh": ["土耳其"]},
    "UK": {"en": ["british", "england", "the uk"], "zh": ["英国"]},
    "USA": {"en": ["american", "the usa", "the us"], "zh": ["美国"]},
    "USSR": {"en": ["soviet", "the soviet union", "the ussr"], "zh": ["苏联"]},
    "Vietnam": {"en": ["vietnamese", "vietnam"], "zh": ["越南"]},
}

# Every second frame (1, 3, 5, ...) is held out from training, so that unseen phrasings can be measured.
FRAMES: dict[str, list[str]] = {
    "en": [
        "{what}",
        "i want to watch {what}",
        "i would like to see {what} tonight",
        "can you recommend {what}?",
        "recommend me some {what}",
        "in the mood for {what}",
        "show me {what}",
        "do you have any {what}",
        "looking for {what}",
        "something like {what} please",
        "i love {what}",
        "lately i enjoy {what}",
        "what are good {what}",
        "let us find {what} for the weekend",
        "{what}, please",
        "my friend asked me for {what}",
    ],
    "zh": [
        "{what}",
        "推荐几部{what}",
        "想看{what}",
        "最近很喜欢{what}",
        "我喜欢{what}",
        "有没有好看的{what}",
        "来一部{what}",
        "今晚想找{what}看",
        "有什么{what}",
        "帮我找{what}",
        "最近想看{what}",
        "给我来点{what}吧",
        "我最爱{what}",
        "周末适合看的{what}",
    ],
}

# Words that say a mood, not an attribute: the model must learn that they choose nothing by themselves.
MOODS: dict[str, list[str]] = {
    "en": ["slow", "good", "great", "quiet", "beautiful", "famous", "strange", "gentle", "clever", "classic", "dark"],
    "zh": ["好看的", "经典的", "慢节奏的", "安静的", "有意思的", "温柔的"],
}


def decade_words(year: float | None) -> list[str]:
    """How a year's decade is said, its full name first; nothing for a missing year.

    Example:
        >>> decade_words(1972)
        ['1970s', '70s', '1970年代', '70年代']
    """
    if pd.isna(year):
        return []
    decade = int(year) // 10 * 10
    return [f"{decade}s", f"{decade % 100:02d}s", f"{decade}年代", f"{decade % 100:02d}年代"]


def wording_texts() -> list[str]:
    """Every word above, for training a tokenizer that keeps the frequent ones whole."""
    tables = [words for table in (GENRE_WORDS, COUNTRY_WORDS) for value in table.values() for words in value.values()]
    words = [word for group in (*tables, *GENRE_NOUNS.values(), *MOODS.values()) for word in group]
    return [f" {word}" for word in words]
