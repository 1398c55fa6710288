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
        dialog.current?.showModal();
    }, []);
    // Closed before it is taken away, it gives the focus back to where it was.
    const stay = (): void => {
        dialog.current?.close();
        onStay();
    };
    return (
        <dialog
            ref={dialog}
            class="leave"
            role="alertdialog"
            aria-labelledby="leave-title"
            aria-describedby="leave-text"
            onCancel={(event) => {
                event.preventDefault();
                stay();
            }}
        >
            <h2 id="leave-title">{words.leave.title}</h2>
            <p id="leave-text">{words.leave.text}</p>
            <div class="actions">
                <Button onClick={stay}>{words.leave.stay}</Button>
                <Button kind="quiet" onClick={onLeave}>
                    {words.leave.leave}
                </Button>
            </div>
        </dialog>
    );
}
