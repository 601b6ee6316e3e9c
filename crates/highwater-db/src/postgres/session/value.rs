//! How a [`Value`] goes to PostgreSQL and comes back. Owns which types it may stand for there.

use bytes::BytesMut;
use tokio_postgres::Error;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::session::Value;

impl ToSql for Value {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, of) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(number), &Type::INT4) => i32::try_from(*number)?.to_sql(of, out),
            (Self::Int(number), &Type::INT2) => i16::try_from(*number)?.to_sql(of, out),
            (Self::Int(number), &Type::BOOL) => (*number != 0).to_sql(of, out),
            (Self::Int(number), &Type::INT8) => number.to_sql(of, out),
            (Self::Real(number), &Type::FLOAT8) => number.to_sql(of, out),
            (Self::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::NAME | &Type::UNKNOWN) => {
                text.as_str().to_sql(of, out)
            }
            (Self::Text(text), of) if is_time(of) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            (value, of) => Err(format!("a value {value:?} where the statement wants {of}: cast it there").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, of: &Type) -> Format {
        if matches!(self, Self::Text(_)) && is_time(of) { Format::Text } else { Format::Binary }
    }

    to_sql_checked!();
}

/// A time goes as text, which the server reads. A day does not: cut to it, the end of a span would be another.
fn is_time(of: &Type) -> bool {
    matches!(*of, Type::TIMESTAMPTZ | Type::TIMESTAMP)
}

/// A number of any length, as `sum` of whole numbers is.
struct Numeric(Value);

impl<'r> FromSql<'r> for Numeric {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        // Digits to the base of 10,000: how many, the power of the first, the sign, how many decimals are shown; then the digits.
        let words: Vec<u16> = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let [_, weight, sign, shown, digits @ ..] = words.as_slice() else { return Err("a number cut short".into()) };
        if !matches!(*sign, 0 | NEGATIVE) {
            return Ok(Self(Value::Real(f64::NAN)));
        }
        let weight = i32::from(i16::from_be_bytes(weight.to_be_bytes()));
        let whole = (0..=weight).try_fold(0_i64, |sum, at| {
            let digit = usize::try_from(at).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
            sum.checked_mul(10_000)?.checked_add(digit.into())
        });
        let negative = *sign == NEGATIVE;
        Ok(Self(match whole {
            Some(whole) if *shown == 0 => Value::Int(if negative { -whole } else { whole }),
            _ => {
                let powers = std::iter::successors(Some(weight), |power| Some(power - 1));
                let sum: f64 =
                    digits.iter().zip(powers).map(|(digit, at)| f64::from(*digit) * 10_000_f64.powi(at)).sum();
                Value::Real(if negative { -sum } else { sum })
            }
        }))
    }

    accepts!(NUMERIC);
}

/// The sign of a [`Numeric`] below zero.
const NEGATIVE: u16 = 0x4000;

/// One column of a row.
pub(super) fn read(row: &tokio_postgres::Row, at: usize) -> Result<Value, Error> {
    Ok(match *row.columns()[at].type_() {
        Type::BOOL => row.try_get::<_, Option<bool>>(at)?.map(i64::from).into(),
        Type::INT2 => row.try_get::<_, Option<i16>>(at)?.map(i64::from).into(),
        Type::INT4 => row.try_get::<_, Option<i32>>(at)?.map(i64::from).into(),
        Type::OID => row.try_get::<_, Option<u32>>(at)?.map(i64::from).into(),
        Type::FLOAT4 => row.try_get::<_, Option<f32>>(at)?.map_or(Value::Null, |number| Value::Real(number.into())),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(at)?.map_or(Value::Null, Value::Real),
        Type::INT8 => row.try_get::<_, Option<i64>>(at)?.into(),
        Type::NUMERIC => row.try_get::<_, Option<Numeric>>(at)?.map_or(Value::Null, |number| number.0),
        // A function without a result yields it.
        Type::VOID => Value::Null,
        _ => row.try_get::<_, Option<String>>(at)?.into(),
    })
}
