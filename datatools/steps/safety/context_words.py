"""The words beside a number that say what it is, in Korean and English.

Owns the phrases. Refuses: how far away they may stand (`kernels.personal`).
"""

from __future__ import annotations

import functools
from typing import Final

from datatools.kernels.context import Phrases, phrase_table
from datatools.kernels.personal import (
    BANK_ACCOUNT,
    CARD,
    DRIVING_LICENCE,
    FRN,
    IP,
    PASSPORT,
    PHONE,
    RRN,
    SAYS_ACCOUNT,
    SAYS_OTHER,
    SAYS_PHONE_AFTER,
    SAYS_VERSION,
    SAYS_YEARS,
    SSN,
)

__all__ = ["CONTEXT_WORDS", "context_phrases"]

CONTEXT_WORDS: Final = {
    1 << PHONE: (
        "전화, 연락처, 휴대폰, 휴대전화, 핸드폰, 팩스, 문의, 대표번호, 고객센터, 상담, 전번, ☎, "
        "📞, tel, phone, phones, telephone, mobile, cell, cellphone, fax, call, calling, contact, "
        "dial, hotline, whatsapp, desk, text me, messages to, answering at, reach me, reach us, "
        "sms"
    ),
    1 << RRN | 1 << FRN: (
        "주민등록, 주민번호, 외국인등록, 외국인번호, 거소신고, resident registration, "
        "resident number, rrn, alien registration, foreigner registration, frn, arc number"
    ),
    1 << SSN: "ssn, social security, 사회보장번호",
    1 << CARD: "카드, card, cards, visa, mastercard, amex, american express, cc, credit, debit",
    1 << BANK_ACCOUNT: (
        "계좌, 입금, 송금, 예금주, 이체, 은행, 농협, 신협, 수협, 우체국, 새마을금고, 뱅크, bank, "
        "account, iban"
    ),
    SAYS_ACCOUNT: (
        "계좌번호, account number, account no, account no., account #, acct, acct., a/c no, "
        "bank account, routing number, routing no, sort code"
    ),
    1 << IP: "ip, ips, ipv4, 아이피, ping, dns, host, server, 서버, addr, address, 주소",
    1 << PASSPORT: "여권, passport",
    1 << DRIVING_LICENCE: (
        "운전면허, 면허번호, 면허증, driver's license, drivers license, driver license, driving "
        "licence, driving license, driver's licence, driver’s license, driver’s licence"
    ),
    SAYS_OTHER: (
        "주문번호, 송장, 접수번호, 관리번호, 문서번호, 일련번호, 상품번호, 상품코드, 모델명, "
        "모델번호, 바코드, 제품번호, 사업자번호, 사업자등록, 법인등록, 법인번호, 특허, 우편번호, "
        "거래번호, 예약번호, 승인번호, order number, order no, order id, order, orders, tracking, "
        "tracking number, invoice, serial, sku, isbn, issn, ean, upc, barcode, part number, "
        "part no, model, model no, product code, product id, item, ticket, case number, case no, "
        "reference number, reference, ref, transaction, transaction id, timestamp, doi, build, "
        "patent"
    ),
    SAYS_VERSION: (
        "version, versions, ver, ver., v, release, releases, build, firmware, driver, section, "
        "sec., chapter, oid, rev, rev., 버전, 릴리스, 펌웨어, upgrade, upgraded, 업데이트"
    ),
    SAYS_YEARS: "년, 년대, years, year",
    SAYS_PHONE_AFTER: "office, fax, mobile, cell, desk, home, tel, phone, 전화, 팩스",
}
"""Phrases, parted by commas, by what they say of the number after them; the last two, of the one
before."""


@functools.cache
def context_phrases() -> Phrases:
    """Return the phrases in the form that `find_personal` reads."""
    return phrase_table(CONTEXT_WORDS)
