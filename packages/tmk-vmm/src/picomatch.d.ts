/** The part of picomatch that is used here; the package ships no types. */
declare module 'picomatch' {
  interface Picomatch {
    (glob: string): (text: string) => boolean;
    scan(glob: string): { readonly isGlob: boolean };
  }
  const picomatch: Picomatch;
  export default picomatch;
}
