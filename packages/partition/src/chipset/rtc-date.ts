/** The date registers of the real-time clock (MC146818A): BCD or binary, 24 or 12 hours. */

const Register = { Seconds: 0, SecondsAlarm: 1, Minutes: 2, MinutesAlarm: 3, Hours: 4, HoursAlarm: 5, Weekday: 6, Day: 7, Month: 8, Year: 9, Century: 0x32 } as const;
/** Bits of register B. */
const BINARY = 0x04;
const HOURS_24 = 0x02;
const AFTERNOON = 0x80;
/** An alarm register with both bits set matches always. */
const ANY = 0xc0;
const MODE_REGISTER = 11;

/** A date of Unix time. */
export const dateOf = (seconds: number): Date => new Date(1000 * seconds);

const coded = (value: number, mode: number): number => ((mode & BINARY) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10));
const decoded = (value: number, mode: number): number => ((mode & BINARY) !== 0 ? value : (value >>> 4) * 10 + (value & 15));

function codedHours(hours: number, mode: number): number {
  if ((mode & HOURS_24) !== 0) return coded(hours, mode);
  return coded(hours % 12 === 0 ? 12 : hours % 12, mode) | (hours >= 12 ? AFTERNOON : 0);
}

function decodedHours(value: number, mode: number): number {
  if ((mode & HOURS_24) !== 0) return decoded(value, mode);
  return (decoded(value & ~AFTERNOON, mode) % 12) + ((value & AFTERNOON) !== 0 ? 12 : 0);
}

/** A register of the date, null for any other. `mode` is register B. */
export function readDateRegister(index: number, date: Date, mode: number): number | null {
  switch (index) {
    case Register.Seconds:
      return coded(date.getUTCSeconds(), mode);
    case Register.Minutes:
      return coded(date.getUTCMinutes(), mode);
    case Register.Hours:
      return codedHours(date.getUTCHours(), mode);
    case Register.Weekday:
      return coded(date.getUTCDay() + 1, mode);
    case Register.Day:
      return coded(date.getUTCDate(), mode);
    case Register.Month:
      return coded(date.getUTCMonth() + 1, mode);
    case Register.Year:
      return coded(date.getUTCFullYear() % 100, mode);
    case Register.Century:
      return coded(Math.floor(date.getUTCFullYear() / 100), mode);
    default:
      return null;
  }
}

/** Unix time with one register of the date written; null when the register is none. The weekday follows the date. */
export function writeDateRegister(index: number, seconds: number, mode: number, value: number): number | null {
  const date = dateOf(seconds);
  switch (index) {
    case Register.Seconds:
      date.setUTCSeconds(decoded(value, mode));
      break;
    case Register.Minutes:
      date.setUTCMinutes(decoded(value, mode));
      break;
    case Register.Hours:
      date.setUTCHours(decodedHours(value, mode));
      break;
    case Register.Weekday:
      break;
    case Register.Day:
      date.setUTCDate(decoded(value, mode));
      break;
    case Register.Month:
      date.setUTCMonth(decoded(value, mode) - 1);
      break;
    case Register.Year:
      date.setUTCFullYear(Math.floor(date.getUTCFullYear() / 100) * 100 + decoded(value, mode));
      break;
    case Register.Century:
      date.setUTCFullYear(decoded(value, mode) * 100 + (date.getUTCFullYear() % 100));
      break;
    default:
      return null;
  }
  return Math.floor(date.getTime() / 1000);
}

/** Whether the alarm registers of `ram` name the time of `date`. */
export function matchesAlarm(ram: Uint8Array, date: Date): boolean {
  const mode = ram[MODE_REGISTER]!;
  const matches = (alarm: number, register: number): boolean => (ram[alarm]! & ANY) === ANY || ram[alarm] === readDateRegister(register, date, mode);
  return matches(Register.SecondsAlarm, Register.Seconds) && matches(Register.MinutesAlarm, Register.Minutes) && matches(Register.HoursAlarm, Register.Hours);
}
