"""ISO 20022's external code sets of statuses and reasons, which the schemas do not hold.

In a schema such a code is any text of one to four characters, so a schema takes RRO4, with a letter O, for a reason.
A code set grows between versions of a message, so one set serves all versions.  CANC is a transaction status of APIs
only, and never in a message.

Source: ISO 20022 external code sets, as published up to 2025, the codes without their definitions; ARDT as a status
reason from the SCT Inst rulebook.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class CodeSet(NamedTuple):
    """A code set."""

    name: str
    """As ISO 20022 calls it."""
    codes: frozenset[str]


STATUS_REASONS: Final = CodeSet(
    "ExternalStatusReason1Code",
    frozenset(
        """
        AB01 AB02 AB03 AB04 AB05 AB06 AB07 AB08 AB09 AB10 AB11 AB12 AB13 AB15 AB21 AB26 AC01 AC02 AC03 AC04 AC05
        AC06 AC07 AC08 AC09 AC10 AC11 AC12 AC13 AC14 AC15 AC16 AEXR AG01 AG02 AG03 AG04 AG05 AG06 AG07 AG08 AG09
        AG10 AG11 AG12 AG13 AGNT ALAC AM01 AM02 AM03 AM04 AM05 AM06 AM07 AM09 AM10 AM11 AM12 AM13 AM14 AM15 AM16
        AM17 AM18 AM19 AM20 AM21 AM22 AM23 AMSE APAR ARDT ARFR ARJR ATNS BDAY BE01 BE04 BE05 BE06 BE07 BE08 BE09
        BE10 BE11 BE12 BE13 BE14 BE15 BE16 BE17 BE18 BE19 BE20 BE21 BE22 BE23 CERI CH03 CH04 CH07 CH09 CH10 CH11
        CH12 CH13 CH14 CH15 CH16 CH17 CH19 CH20 CH21 CH22 CHCO CHQC CHRG CN01 CNNS CNOR CURR CUST DC02 DNOR DS01
        DS02 DS03 DS04 DS05 DS06 DS07 DS08 DS09 DS0A DS0B DS0C DS0D DS0E DS0F DS0G DS0H DS0K DS10 DS11 DS12 DS13
        DS14 DS15 DS16 DS17 DS18 DS19 DS20 DS21 DS22 DS23 DS24 DS25 DS26 DS27 DS28 DT01 DT02 DT03 DT04 DT05 DT06
        DU01 DU02 DU03 DU04 DU05 DUPL ED01 ED03 ED05 ED06 EDNA EDTL EDTR EOL1 ERIN FF01 FF02 FF03 FF04 FF05 FF06
        FF07 FF08 FF09 FF10 FF11 FF12 FF13 FOCR FR01 FRAD G000 G001 G002 G003 G004 G005 G006 ID01 IEDT INAR INDT
        IPNS IRNR ISWS MD01 MD02 MD05 MD06 MD07 MINF MS02 MS03 NARR NERI NOAR NOAS NOCM NOFR NOPG NRCH OSNS PINS
        RC01 RC02 RC03 RC04 RC05 RC06 RC07 RC08 RC09 RC10 RC11 RC12 RC13 RC15 RC16 RCON RECI REPR RF01 RQNR RR01
        RR02 RR03 RR04 RR05 RR06 RR07 RR08 RR09 RR10 RR11 RR12 RTNS RUTA S000 S001 S002 S003 S004 SBRN SL01 SL02
        SL03 SL11 SL12 SL13 SL14 SL15 SL16 SL17 SL18 SNRD SPII TA01 TD01 TD02 TD03 TK01 TK02 TK03 TK09 TKCM TKSG
        TKSP TKVE TKXP TM01 TS01 TS04 UCRD UPAY
        """.split()
    ),
)
RETURN_REASONS: Final = CodeSet(
    "ExternalReturnReason1Code",
    frozenset(
        """
        AC01 AC02 AC03 AC04 AC06 AC07 AC13 AC14 AC15 AC16 AC17 AG01 AG02 AG07 AGNT AM01 AM02 AM03 AM04 AM05 AM06
        AM07 AM09 AM10 ARDT BE01 BE04 BE05 BE06 BE07 BE08 BE10 BE11 BE16 BE17 CN01 CNOR CNPC CURR CUST DC04 DNOR
        DS28 DT01 DT02 DT04 DUPL ED01 ED03 ED05 EMVL ERIN FF03 FF04 FF05 FF06 FF07 FOCR FR01 FRTR G004 MD01 MD02
        MD05 MD06 MD07 MS02 MS03 NARR NOAS NOCM NOOR PINL RC01 RC03 RC04 RC07 RC08 RC11 RF01 RR01 RR02 RR03 RR04
        RR05 RR06 RR07 RR08 RR09 RR11 RR12 RUTA SL01 SL02 SL11 SL12 SL13 SL14 SP01 SP02 SVNR TM01 TRAC UPAY
        """.split()
    ),
)
CANCELLATION_REASONS: Final = CodeSet(
    "ExternalCancellationReason1Code",
    frozenset(
        """
        AC02 AC03 AGNT AM09 BE16 BIAS COVR CURR CUST CUTA DRTP DS24 DT01 DUPL ECAG ENUE FRAD FRNA FRTR INCR INDM
        MD06 MODT NARR NFNA PAID PPRC SVNR SYAD TECH UAPA UPAY WNTB
        """.split()
    ),
)
CANCELLATION_REJECTIONS: Final = CodeSet(
    "ExternalPaymentCancellationRejection1Code",
    frozenset(
        """
        AACR AC04 ACLR ADAC AEXR AGNT AM04 ARDT ARFR ARJR ARPL CUST IDMN LEGL NARR NOAS NOOR PATE PTNA RCAR RCNR
        RCPR RQDA RR04 URTP WSEQ
        """.split()
    ),
)
INVESTIGATION_CONFIRMATIONS: Final = CodeSet(
    "ExternalInvestigationExecutionConfirmation1Code",
    frozenset(
        """
        ACDA ACNR ACVA BIAS CHRG CNCL CONF CVAA CWFW FTNA ICOV IDNE IDUP INFO IPAY IPYI IVCR MCOV MODI MWFW NINF
        PDCR PDNG PECR PURP RJCR RJNR RJVA SMTC SMTI UWFW
        """.split()
    ),
)
TRANSACTION_STATUSES: Final = CodeSet(
    "ExternalPaymentTransactionStatus1Code",
    frozenset(
        """
        ACCC ACCP ACFC ACFW ACIS ACPD ACSC ACSP ACTC ACWC ACWP BLCK CPUC PATC PDNG PRES RCVC RCVD RJCT RVCM RVMC
        RVNA RVNC RVNM
        """.split()
    ),
)
GROUP_STATUSES: Final = CodeSet(
    "ExternalPaymentGroupStatus1Code",
    frozenset(
        """
        ACCC ACCP ACSC ACSP ACTC ACWC PART PDNG RCVC RCVD RJCT RVCM RVNC
        """.split()
    ),
)

_OF_ELEMENT: Final = {
    "StatusReasonChoice/Cd": STATUS_REASONS,
    "ReturnReasonChoice/Cd": RETURN_REASONS,
    "CancellationReasonChoice/Cd": CANCELLATION_REASONS,
    "CancellationStatusReasonChoice/Cd": CANCELLATION_REJECTIONS,
    "InvestigationStatusChoice/Conf": INVESTIGATION_CONFIRMATIONS,
    "PaymentTransaction/TxSts": TRANSACTION_STATUSES,
    "OriginalGroupHeader/GrpSts": GROUP_STATUSES,
}
_numbers = re.compile(r"[0-9]+")


def code_set_of(type_name: str, element_name: str) -> CodeSet | None:
    """Return the code set of an element in a type, whatever the type's number in this version of a message."""
    return _OF_ELEMENT.get(f"{_numbers.sub('', type_name)}/{element_name}")
