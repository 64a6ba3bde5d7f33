//! A layout while it is written to, and as parts of a file.

use std::sync::Arc;

use bytes::Bytes as Run;

use crate::compile::{
    affix::{Affix, Affixes, Stands},
    packed::{Reader, Writer},
    plan::{Affixed, ByPart, Bytes, Filed, Plan, Production, Table},
    slots::Slot,
};

/// Each with its number in a file.
const STANDS: [Stands; 3] = [Stands::AtStart, Stands::AtEnd, Stands::Anywhere];

impl Plan<Vec<u8>> {
    /// The same, to be read only.
    pub(super) fn frozen(self) -> Plan {
        let Self { bytes, edges, claims, keyed, affixes, changing, whole } = self;
        let (bytes, edges, claims, keyed) = (Bytes(bytes.0.into()), edges.frozen(), claims.frozen(), keyed.frozen());
        Plan { bytes, edges, claims, keyed, affixes, changing, whole }
    }
}

impl Plan {
    /// A copy that can be written to, with room for so many bytes more.
    pub(super) fn thawed(&self, room: usize) -> Plan<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.bytes.0.len().saturating_add(room));
        bytes.extend_from_slice(&self.bytes.0);
        let (edges, claims, keyed) = (self.edges.thawed(), self.claims.thawed(), self.keyed.thawed());
        let (affixes, changing, whole) = (self.affixes.clone(), self.changing.clone(), self.whole);
        Plan { bytes: Bytes(bytes), edges, claims, keyed, affixes, changing, whole }
    }

    /// The records, then the tables.
    pub(in crate::compile) fn runs(&self) -> [&Run; 4] {
        let [edges, claims, keyed] = [&self.edges, &self.claims, &self.keyed].map(|it| it.parts().0);
        [&self.bytes.0, edges, claims, keyed]
    }

    /// Writes what is not in its runs.
    pub(in crate::compile) fn put(&self, to: &mut Writer) {
        to.number(self.whole);
        for table in [&self.edges, &self.claims, &self.keyed] {
            to.number(table.parts().1);
        }
        to.number(self.changing.len());
        self.changing.iter().for_each(|it| to.number(it.0));
        let mut units: Vec<(&u32, &Arc<[Affixed]>)> = self.affixes.iter().collect();
        units.sort_unstable_by_key(|it| it.0);
        to.number(units.len());
        for (unit, all) in units {
            to.wide((*unit).into());
            to.number(all.len());
            all.iter().for_each(|it| it.put(to));
        }
    }

    /// Reads what was written.
    pub(in crate::compile) fn take(from: &mut Reader<'_>, [bytes, edges, claims, keyed]: [Run; 4]) -> Option<Self> {
        let whole = from.number()?;
        let mut table = |slots| Table::of_parts(slots, from.number()?);
        let (edges, claims, keyed) = (table(edges)?, table(claims)?, table(keyed)?);
        let count = from.number()?;
        let changing = (0..count).map(|_| from.number().map(Slot)).collect::<Option<_>>()?;
        let mut affixes = ByPart::default();
        for _ in 0..from.number()? {
            let unit = from.narrow()?;
            let count = from.number()?;
            affixes.insert(unit, (0..count).map(|_| Affixed::take(from)).collect::<Option<_>>()?);
        }
        Some(Self { bytes: Bytes(bytes), edges, claims, keyed, affixes, changing, whole })
    }
}

impl Affixed {
    fn put(&self, to: &mut Writer) {
        to.number(self.slot.0);
        to.number(self.rules.all().len());
        for (stands, Filed { rule, text }) in self.rules.all() {
            to.number(STANDS.iter().position(|it| *it == stands).unwrap_or(STANDS.len()));
            to.text(text);
            for number in [rule.claim, rule.gate, rule.policy, rule.place] {
                to.wide(number.into());
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let slot = Slot(from.number()?);
        let count = from.number()?;
        let mut all = Vec::new();
        for _ in 0..count {
            let stands = *STANDS.get(from.number()?)?;
            let text = from.text()?;
            let rule = Production {
                claim: from.narrow()?,
                gate: from.narrow()?,
                policy: from.narrow()?,
                place: from.narrow()?,
            };
            all.push((Affix { stands, text: text.into() }, Filed { rule, text: text.into() }));
        }
        Some(Self { slot, rules: Affixes::new(all)? })
    }
}
