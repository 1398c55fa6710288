/** A key or certificate: its line breaks stay, it is masked like a password, and a file will do (§7.24). */
import type { ComponentChildren, TextareaHTMLAttributes } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Words } from '../words/en.ts';

interface Props {
    readonly attributes: TextareaHTMLAttributes;
    readonly isMasked: boolean;
    readonly reveal: ComponentChildren;
    readonly words: Words;
    onChange(value: string): void;
}

/** Keys are a few kilobytes; anything longer is another file. */
const longestFile = 64 * 1024;

export function KeyControl({ attributes, isMasked, reveal, words, onChange }: Props) {
    const [isOver, setOver] = useState(false);
    const file = useRef<HTMLInputElement>(null);
    const read = async (files: FileList | null | undefined): Promise<void> => {
        const chosen = files?.[0];
        if (chosen && chosen.size <= longestFile) onChange((await chosen.text()).trim());
    };
    return (
        <div
            class={isOver ? 'key-control over' : 'key-control'}
            onDragOver={(event) => {
                event.preventDefault();
                setOver(true);
            }}
            onDragLeave={() => setOver(false)}
            onDrop={(event) => {
                event.preventDefault();
                setOver(false);
                void read(event.dataTransfer?.files);
            }}
        >
            <div class="control tall">
                <textarea {...attributes} class={isMasked ? 'masked' : ''} rows={5} onInput={(event) => onChange(event.currentTarget.value)} />
                {reveal}
            </div>
            <p class="file-row">
                {words.form.dropFile}{' '}
                <button type="button" class="link" onClick={() => file.current?.click()}>
                    {words.form.chooseFile}
                </button>
                <input
                    ref={file}
                    type="file"
                    hidden
                    tabIndex={-1}
                    onChange={(event) => {
                        void read(event.currentTarget.files);
                        event.currentTarget.value = '';
                    }}
                />
            </p>
        </div>
    );
}
