import { useEffect, useRef } from 'preact/hooks';
import type { Words } from '../words/en.ts';
import { Button } from './button.tsx';

interface Props {
    readonly words: Words;
    onStay(): void;
    onLeave(): void;
}

/** Something was typed (§7.35). The browser keeps the focus inside, and gives it back afterwards. */
export function LeaveDialog({ words, onStay, onLeave }: Props) {
    const dialog = useRef<HTMLDialogElement>(null);
    useEffect(() => {
        const opened = dialog.current;
        opened?.showModal();
        return () => opened?.close();
    }, []);
    return (
        <dialog
            ref={dialog}
            class="leave"
            role="alertdialog"
            aria-labelledby="leave-title"
            aria-describedby="leave-text"
            onCancel={(event) => {
                event.preventDefault();
                onStay();
            }}
        >
            <h2 id="leave-title">{words.leave.title}</h2>
            <p id="leave-text">{words.leave.text}</p>
            <div class="actions">
                <Button onClick={onStay}>{words.leave.stay}</Button>
                <Button kind="quiet" onClick={onLeave}>
                    {words.leave.leave}
                </Button>
            </div>
        </dialog>
    );
}
